"""One study from a modality through every real component to a measured result and a PDF."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from heimdallr.access.v1 import audit_action_pb2 as actions
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.audit.v1 import audit_service_pb2 as audit_pb
from heimdallr.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel
from tests.support.dcmtk import storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import results, settled, volumes_ml, workflow

pytestmark = [pytest.mark.stack, pytest.mark.triton, pytest.mark.dcmtk]

TOLERANCE = 0.03


async def _through(
    stack: RunningStack, channel: MeshChannel, phantom: ChestCtPhantom, folder: Path
) -> archive_pb.Study:
    study = PhantomStudy()
    write_series(phantom, folder, study)
    sent = storescu(stack.dicom_port, [folder], "+sd")
    assert sent.returncode == 0, sent.stderr
    return await settled(channel, study.study_instance_uid)


async def test_a_phantom_is_measured_within_three_per_cent(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, tmp_path: Path
) -> None:
    phantom = ChestCtPhantom(seed=11)

    study = await _through(stack, channel, phantom, tmp_path)

    assert study.state == archive_pb.STUDY_STATE_READY
    measured, true = volumes_ml(await results(channel, study.study_id)), phantom.true_volumes_ml()
    for structure in ("lungs", "bone", "body"):
        assert measured[structure] == pytest.approx(true[structure], rel=TOLERANCE)


async def test_lungs_ten_per_cent_larger_read_ten_per_cent_larger(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, tmp_path: Path
) -> None:
    lungs = []
    for scale in (1.0, 1.1):
        folder = tmp_path / str(scale)
        folder.mkdir()

        study = await _through(stack, channel, ChestCtPhantom(5, lung_scale=scale), folder)

        lungs.append(volumes_ml(await results(channel, study.study_id))["lungs"])
    assert lungs[1] / lungs[0] == pytest.approx(1.10, abs=0.01)


async def test_every_stage_is_done_once_and_the_report_is_a_pdf(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, tmp_path: Path
) -> None:
    study = await _through(stack, channel, ChestCtPhantom(7), tmp_path)

    work = await workflow(channel, study.study_id)
    stages = {stage.name: stage for stage in work.stages}
    assert set(stages) == {"plan", "describe", "convert", "analyze:ct_tissue", "report"}
    assert {stage.state for stage in work.stages} == {pb.STAGE_STATE_DONE}
    assert len(work.stages) == len(stages)
    found = await results(channel, study.study_id)
    pdf = await _fetch(channel, study.study_id, found.report.pdf.sha256)
    assert pdf.startswith(b"%PDF-")
    assert hashlib.sha256(pdf).hexdigest() == found.report.pdf.sha256


async def test_instances_come_back_as_they_went_in(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, tmp_path: Path
) -> None:
    study = await _through(stack, channel, ChestCtPhantom(9, shape=(20, 64, 64)), tmp_path)
    stub = ArchiveServiceStub(channel)
    series = (await stub.GetStudy(archive_pb.GetStudyRequest(study_id=study.study_id))).series

    listed = await stub.ListInstances(
        archive_pb.ListInstancesRequest(series_id=series[0].series_id, page_size=100)
    )

    sent = {_data_set(path.read_bytes()) for path in tmp_path.iterdir()}
    fetched = set()
    for instance in listed.instances:
        request = archive_pb.FetchInstanceRequest(instance_id=instance.instance_id)
        file = b"".join([chunk.data async for chunk in stub.FetchInstance(request)])
        assert file[:128] == bytes(128)
        fetched.add(_data_set(file))
    assert fetched == sent


async def test_mutating_calls_and_received_associations_are_audited(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, tmp_path: Path
) -> None:
    study = await _through(stack, channel, ChestCtPhantom(13, shape=(20, 64, 64)), tmp_path)

    listed = await AuditServiceStub(channel).ListEntries(
        audit_pb.ListEntriesRequest(page_size=1000)
    )

    seen = {call.entry.action for call in listed.calls}
    assert {actions.AUDIT_ACTION_INGEST, actions.AUDIT_ACTION_CONVERT} <= seen
    assert actions.AUDIT_ACTION_REPORT in seen
    assert study.study_id not in {call.entry.subject for call in listed.calls}


async def _fetch(channel: MeshChannel, study_id: str, sha256: str) -> bytes:
    request = archive_pb.FetchResultRequest(study_id=study_id, sha256=sha256)
    chunks = ArchiveServiceStub(channel).FetchResult(request)
    return b"".join([chunk.data async for chunk in chunks])


def _data_set(file: bytes) -> str:
    """Hash of what follows the file meta information, whose length is in (0002,0000)."""
    length = int.from_bytes(file[140:144], "little")
    return hashlib.sha256(file[144 + length :]).hexdigest()

"""How studies are known to be complete, over a running stack."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from pydicom.dataset import Dataset

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.peers.v1 import peers_service_pb2 as peers_pb
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub
from heimdallr.workflow.v1 import completeness_service_pb2 as completeness_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.completeness_service_pb2_grpc import CompletenessServiceStub
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as worklist_pb
from heimdallr.worklist.v1.worklist_service_pb2_grpc import WorklistServiceStub
from services.dicom.uids import new_uid
from services.runtime.client import MeshChannel
from tests.gateway.procedure_steps.test_performed import PERFORMED, begins, ends
from tests.gateway.procedure_steps.test_worklist_find import WORKLIST, query
from tests.support.arriving import (
    at_work,
    declare,
    evidence,
    found,
    send,
    store,
    storing,
    until_waits,
)
from tests.support.modality import MODALITY, associate, slices
from tests.support.orthanc import RunningOrthanc, require_orthanc
from tests.support.running_stack import RunningStack
from tests.support.studies import settled

pytestmark = pytest.mark.stack

FINISHED: Final = frozenset({pb.STAGE_STATE_DONE, pb.STAGE_STATE_REFUSED})


async def test_a_study_that_two_associations_bring_is_complete_once_both_are_released(
    stack: RunningStack, channel: MeshChannel
) -> None:
    study = new_uid()
    async with storing(stack) as open_one:
        await store(open_one, slices(study, 1, [1, 2]))
        await send(stack, slices(study, 2, [1, 2]))
        waiting = await until_waits(channel, study, "QUIET", "ASSOCIATION_OPEN")
    done = await settled(channel, study)

    assert waiting.state == archive_pb.STUDY_STATE_RECEIVING
    assert waiting.waits[0].total_s == 60
    assert waiting.waits[1].text == "1 association is still open"
    assert (evidence(done), done.generation, done.instance_count) == ("RELEASED", 1, 4)


async def test_a_late_slice_opens_a_generation_and_only_what_depends_on_it_runs_again(
    stack: RunningStack, channel: MeshChannel
) -> None:
    study = new_uid()
    await send(stack, slices(study, 1, [1, 2]) + slices(study, 2, [1, 2]))
    first = await settled(channel, study)
    before = await at_work(channel, study)
    await send(stack, slices(study, 2, [3]))
    async with asyncio.timeout(60):
        while (await found(channel, study)).generation == 1:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    second = await settled(channel, study)
    after = await at_work(channel, study)

    request = archive_pb.GetStudyRequest(study_id=second.study_id)
    series = (await ArchiveServiceStub(channel).GetStudy(request)).series
    names = {one.series_id: one.series_instance_uid for one in series}
    latest = [stage for stage in after.stages if stage.generation == 2]
    older = [stage for stage in after.stages if stage.generation == 1]
    described = {
        names[stage.series_id]: len(stage.attempts) for stage in latest if stage.name == "describe"
    }
    assert (first.generation, second.generation) == (1, 2)
    assert evidence(second) == "RELEASED"
    assert {stage.state for stage in older} == {pb.STAGE_STATE_SUPERSEDED}
    assert {stage.stage_id for stage in older} == {stage.stage_id for stage in before.stages}
    assert {stage.state for stage in latest} <= FINISHED
    assert described == {f"{study}.1": 0, f"{study}.2": 1}


async def test_a_sender_with_a_manifest_is_waited_for_until_all_of_it_is_there(
    stack: RunningStack, channel: MeshChannel
) -> None:
    study = new_uid()
    whole = slices(study, 1, [1, 2, 3])
    await declare(channel, study, whole)
    await send(stack, whole[:2])
    waiting = await until_waits(channel, study, "ANNOUNCED", "QUIET")
    await send(stack, whole[2:])
    done = await settled(channel, study)

    assert waiting.waits[0].text == "2 of 3 announced instances are here"
    assert waiting.waits[1].total_s == 600
    assert (evidence(done), done.generation) == ("MANIFEST", 1)


async def test_a_person_need_not_wait_and_a_confirmed_count_is_better_evidence(
    stack: RunningStack, channel: MeshChannel
) -> None:
    study = new_uid()
    stub = CompletenessServiceStub(channel)
    async with storing(stack) as still_open:
        await store(still_open, slices(study, 1, [1]))
        study_id = (await found(channel, study)).study_id
        said = await stub.CompleteStudy(completeness_pb.CompleteStudyRequest(study_id=study_id))
        await settled(channel, study)
        request = completeness_pb.ConfirmCountRequest(
            study_instance_uid=study, source="PACS", instance_count=1
        )
        await stub.ConfirmCount(request)
        confirmed = await found(channel, study)

    assert said.evidence == archive_pb.EVIDENCE_PERSON
    assert evidence(confirmed) == "COUNT"


async def test_a_scheduled_step_is_found_performed_and_is_evidence_of_completeness(
    stack: RunningStack, channel: MeshChannel, tmp_path: Path
) -> None:
    await register(channel, MODALITY, 104)
    file = tmp_path / "worklist.csv"
    file.write_text(
        "patient_id,patient_name,station,date,time,modality,accession_number\n"
        f"GATEWAY-1,PHANTOM^GATEWAY,{MODALITY},20260105,0930,CT,ACC1\n"
        f"GATEWAY-1,PHANTOM^GATEWAY,{MODALITY},tomorrow,0930,CT,ACC2\n"
    )
    imported = await asyncio.to_thread(
        heimdallr, "worklist", "import", str(file), "--data", str(stack.data)
    )

    def perform() -> Dataset:
        association = associate(stack.dicom_port, WORKLIST, PERFORMED)
        answers = list(association.send_c_find(query(ScheduledStationAETitle=MODALITY), WORKLIST))
        assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]
        entry = answers[0][1]
        assert entry is not None
        began = begins()
        item = began.ScheduledStepAttributesSequence[0]
        item.StudyInstanceUID = entry.StudyInstanceUID
        step = entry.ScheduledProcedureStepSequence[0]
        item.ScheduledProcedureStepID = step.ScheduledProcedureStepID
        status, _ = association.send_n_create(began, PERFORMED, f"{entry.StudyInstanceUID}.9")
        assert status.Status == 0
        association.release()
        return entry

    study = str((await asyncio.to_thread(perform)).StudyInstanceUID)
    images = slices(study, 1, [1, 2])
    await send(stack, images)
    waiting = await until_waits(channel, study, "PROCEDURE_STEP", "QUIET")

    def finish() -> int:
        association = associate(stack.dicom_port, PERFORMED)
        done = ends()
        (series,) = done.PerformedSeriesSequence
        series.SeriesInstanceUID = f"{study}.1"
        del series.ReferencedNonImageCompositeSOPInstanceSequence
        for reference, image in zip(series.ReferencedImageSequence, images, strict=True):
            reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        status, _ = association.send_n_set(done, PERFORMED, f"{study}.9")
        association.release()
        return int(status.Status)

    assert await asyncio.to_thread(finish) == 0
    complete = await settled(channel, study)
    asked = worklist_pb.ListScheduledStepsRequest(scheduled_station_ae_title=MODALITY)
    steps = (await WorklistServiceStub(channel).ListScheduledSteps(asked)).steps

    assert imported.returncode == 1
    assert imported.stdout == "1 created, 1 refused\n"
    assert imported.stderr == "line 3: date: a date, YYYYMMDD\n"
    assert waiting.waits[0].text == "1 procedure step is still in progress"
    assert evidence(complete) == "MANIFEST"
    assert [step.state for step in steps] == [step_pb.SCHEDULED_STEP_STATE_COMPLETED]


@pytest.mark.orthanc
async def test_an_archive_that_sends_a_study_is_asked_how_much_of_it_there_is(
    stack: RunningStack, channel: MeshChannel
) -> None:
    require_orthanc()
    study = new_uid()
    ours = {"heimdallr": ("HEIMDALLR", "127.0.0.1", stack.dicom_port)}
    with RunningOrthanc(modalities=ours, ae_title="COUNTING") as orthanc:
        await register(channel, "COUNTING", orthanc.dicom_port)

        def route() -> None:
            for dataset in slices(study, 1, [1, 2, 3]):
                buffer = BytesIO()
                dataset.save_as(buffer)
                orthanc.post("/instances", buffer.getvalue())
            orthanc.post("/modalities/heimdallr/store", orthanc.get("/studies"))

        await asyncio.to_thread(route)
        complete = await settled(channel, study)

    assert (evidence(complete), complete.instance_count) == ("COUNT", 3)


def heimdallr(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def register(channel: MeshChannel, ae_title: str, port: int) -> None:
    spec = peers_pb.PeerSpec(
        name=ae_title.lower(),
        trust_zone=peers_pb.TRUST_ZONE_INSIDE,
        dimse=peers_pb.DimseAddress(ae_title=ae_title, host="127.0.0.1", port=port),
    )
    await PeersServiceStub(channel).CreatePeer(peers_pb.CreatePeerRequest(spec=spec))

"""A study from a modality to its copy without identity, and back to who stands behind it."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from heimdallr.access.v1 import audit_action_pb2 as actions
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.audit.v1 import audit_service_pb2 as audit_pb
from heimdallr.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from heimdallr.deid.v1 import crosswalk_service_pb2 as crosswalk_pb
from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from heimdallr.deid.v1 import profile_pb2
from heimdallr.deid.v1 import project_service_pb2 as project_pb
from heimdallr.deid.v1 import review_service_pb2 as pb
from heimdallr.deid.v1.crosswalk_service_pb2_grpc import CrosswalkServiceStub
from heimdallr.deid.v1.project_service_pb2_grpc import DeidProjectServiceStub
from heimdallr.deid.v1.review_service_pb2_grpc import DeidReviewServiceStub
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel, ServiceCallError, open_channel, typed_errors
from services.runtime.token_source import FixedTokenSource
from tests.support.dcmtk import storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import settled, workflow

pytestmark = [pytest.mark.stack, pytest.mark.triton, pytest.mark.dcmtk]

ROOT = Path(__file__).resolve().parents[2]
NAME, NUMBER = "NOBODY^CROSSWALK", "CROSSWALK-4711"


@pytest.fixture
def second_token(stack: RunningStack) -> str:
    """Token of somebody else who may agree."""
    command = ("token", "otto", "--permission", "deid_reidentify", "--data", str(stack.data))
    made = subprocess.run(
        [sys.executable, "-m", "services.cli", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return made.stdout.strip()


@pytest.fixture
async def second_person(stack: RunningStack, second_token: str) -> AsyncIterator[MeshChannel]:
    """Channel of that person."""
    source = FixedTokenSource(second_token)
    async with open_channel(stack.state.addresses.mesh, source) as opened:
        yield opened


async def _received(stack: RunningStack, channel: MeshChannel, folder: Path) -> archive_pb.Study:
    study = PhantomStudy(patient_name=NAME, patient_id=NUMBER)
    write_series(ChestCtPhantom(3, shape=(12, 48, 48)), folder, study)
    sent = storescu(stack.dicom_port, [folder], "+sd")
    assert sent.returncode == 0, sent.stderr
    return await settled(channel, study.study_instance_uid)


async def _project(channel: MeshChannel) -> str:
    profile = profile_pb2.Profile(preset=profile_pb2.PROFILE_PRESET_RESEARCH)
    project = project_pb.Project(name="trial-live", profile=profile, two_persons=True)
    request = project_pb.CreateProjectRequest(project=project)
    return (await DeidProjectServiceStub(channel).CreateProject(request)).project.project_id


async def _released(
    channel: MeshChannel, project_id: str, study_id: str
) -> list[pb.ReleasedObject]:
    """Wait until the whole study may go outside and return what may."""
    request = pb.ListReleasedRequest(project_id=project_id, study_id=study_id)
    async with asyncio.timeout(120):
        while True:
            listed = [m async for m in DeidReviewServiceStub(channel).ListReleased(request)]
            if listed[0].state not in (pb.RELEASE_STATE_NOT_BEGUN, pb.RELEASE_STATE_RUNNING):
                assert listed[0].state == pb.RELEASE_STATE_COMPLETE
                return [one for message in listed for one in message.objects]
            await asyncio.sleep(0.2)


async def _fetched(channel: MeshChannel, study_id: str, sha256: str) -> bytes:
    request = archive_pb.FetchResultRequest(study_id=study_id, sha256=sha256)
    chunks = ArchiveServiceStub(channel).FetchResult(request)
    return b"".join([chunk.data async for chunk in chunks])


async def _told(channel: MeshChannel, second: MeshChannel, project_id: str) -> deid_pb.Identity:
    """Be told, once another person has agreed, who stands behind the only pseudonym."""
    listed = await DeidReviewServiceStub(channel).ListDeidentifications(
        pb.ListDeidentificationsRequest(project_id=project_id)
    )
    crosswalk, others = CrosswalkServiceStub(channel), CrosswalkServiceStub(second)
    asked = await crosswalk.RequestReidentification(
        crosswalk_pb.RequestReidentificationRequest(
            project_id=project_id,
            kind=deid_pb.PSEUDONYM_KIND_PATIENT,
            pseudonym=listed.deidentifications[0].pseudonym,
            reason="An incidental finding.",
        )
    )
    request_id = asked.reidentification.reidentification_id
    told = crosswalk_pb.ReidentifyRequest(reidentification_id=request_id)
    decision = crosswalk_pb.DecideReidentificationRequest(
        reidentification_id=request_id, agree=True
    )
    for early in (crosswalk.Reidentify(told), crosswalk.DecideReidentification(decision)):
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await early
        assert caught.value.reason == "ERROR_REASON_REIDENTIFICATION_STATE"
    await others.DecideReidentification(decision)
    return (await crosswalk.Reidentify(told)).identity


async def test_a_study_is_de_identified_and_its_patient_found_again_by_two_persons(
    stack: RunningStack,
    channel: MeshChannel,
    second_person: MeshChannel,
    dcmtk: None,
    tmp_path: Path,
) -> None:
    study = await _received(stack, channel, tmp_path)
    project_id = await _project(channel)
    start = pb.StartDeidentificationRequest(project_id=project_id, study_id=study.study_id)

    started = await DeidReviewServiceStub(channel).StartDeidentification(start)
    released = await _released(channel, project_id, study.study_id)
    identity = await _told(channel, second_person, project_id)

    assert len(released) == 12
    for one in released:
        data = await _fetched(channel, study.study_id, one.released.sha256)
        assert hashlib.sha256(data).hexdigest() == one.released.sha256
        assert NAME.encode() not in data
        assert NUMBER.encode() not in data
        assert one.sop_instance_uid.encode() in data
    work = await workflow(channel, study.study_id)
    (stage,) = [one for one in work.stages if one.stage_id in started.stage_ids]
    assert (stage.name, stage.summary) == ("deidentify:trial-live", "12 released")
    assert (identity.patient_name, identity.patient_id_text) == (NAME, NUMBER)
    calls = await AuditServiceStub(channel).ListEntries(audit_pb.ListEntriesRequest(page_size=200))
    steps = [
        call.entry.method.rpartition("/")[2]
        for call in calls.calls
        if call.entry.action == actions.AUDIT_ACTION_REIDENTIFY and call.outcome.code == "OK"
    ]
    assert {"RequestReidentification", "DecideReidentification", "Reidentify"} <= set(steps)
    assert "OpenSealed" in steps

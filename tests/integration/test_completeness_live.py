"""How studies are known to be complete, over a running stack with short times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Final

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

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
from tests.support.instances import CT, ct_instance, part10
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel, settled, workflow

pytestmark = pytest.mark.stack

QUIET_S: Final = 4.0
TIMES: Final = {
    "HEIMDALLR_COORDINATOR_QUIET_AFTER_S": str(QUIET_S),
    "HEIMDALLR_COORDINATOR_RELEASED_AFTER_S": "0.5",
    "HEIMDALLR_COORDINATOR_ANNOUNCED_AFTER_S": "7",
}
MODALITY: Final = "CTSCAN"
FINISHED: Final = frozenset({pb.STAGE_STATE_DONE, pb.STAGE_STATE_REFUSED})


@pytest.fixture(scope="module")
def quick() -> Iterator[RunningStack]:
    with RunningStack(environ=TIMES, arguments=("--without", "triton")) as running:
        yield running


@pytest.fixture
async def mesh(quick: RunningStack) -> AsyncIterator[MeshChannel]:
    async with operator_channel(quick) as opened:
        yield opened


def slices(study: str, series: int, numbers: Sequence[int]) -> list[Dataset]:
    made = [
        ct_instance(
            study_uid=study,
            series_uid=f"{study}.{series}",
            sop_instance_uid=f"{study}.{series}.{number}",
            number=number,
            seed=series,
        )
        for number in numbers
    ]
    return [dcmread(BytesIO(part10(dataset))) for dataset in made]


def associate(port: int, *classes: str) -> Association:
    ae = AE(MODALITY)
    for sop_class in classes:
        ae.add_requested_context(sop_class)
    association = ae.associate("127.0.0.1", port, ae_title="HEIMDALLR")
    assert association.is_established
    return association


@asynccontextmanager
async def storing(stack: RunningStack) -> AsyncIterator[Association]:
    """Give an association for storage; it is released in the end unless it was aborted."""
    association = await asyncio.to_thread(associate, stack.dicom_port, CT)
    yield association
    if association.is_established:
        await asyncio.to_thread(association.release)


async def store(association: Association, datasets: Sequence[Dataset]) -> None:
    for dataset in datasets:
        status = await asyncio.to_thread(association.send_c_store, dataset)
        assert status.Status == 0


async def send(stack: RunningStack, datasets: Sequence[Dataset]) -> None:
    async with storing(stack) as association:
        await store(association, datasets)


async def found(mesh: MeshChannel, uid: str) -> archive_pb.Study:
    request = archive_pb.GetStudyRequest(study_instance_uid=uid)
    return (await ArchiveServiceStub(mesh).GetStudy(request)).study


async def at_work(mesh: MeshChannel, uid: str) -> pb.StudyWorkflow:
    return await workflow(mesh, (await found(mesh, uid)).study_id)


async def until_waits(mesh: MeshChannel, uid: str, *codes: str) -> pb.StudyWorkflow:
    async with asyncio.timeout(30):
        while True:
            now = await at_work(mesh, uid)
            if [wait.code for wait in now.waits] == list(codes):
                return now
            await asyncio.sleep(0.1)


def evidence(study: archive_pb.Study) -> str:
    return archive_pb.Evidence.Name(study.evidence).removeprefix("EVIDENCE_")


async def test_a_study_that_two_associations_bring_is_complete_once_both_are_released(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    async with storing(quick) as open_one:
        await store(open_one, slices(study, 1, [1, 2]))
        await send(quick, slices(study, 2, [1, 2]))
        waiting = await until_waits(mesh, study, "QUIET", "ASSOCIATION_OPEN")
    done = await settled(mesh, study)

    assert waiting.state == archive_pb.STUDY_STATE_RECEIVING
    assert waiting.waits[0].total_s == QUIET_S
    assert waiting.waits[1].text == "1 association is still open"
    assert (evidence(done), done.generation, done.instance_count) == ("RELEASED", 1, 4)


async def test_a_late_slice_opens_a_generation_and_only_what_depends_on_it_runs_again(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    await send(quick, slices(study, 1, [1, 2]) + slices(study, 2, [1, 2]))
    first = await settled(mesh, study)
    before = await at_work(mesh, study)
    await send(quick, slices(study, 2, [3]))
    async with asyncio.timeout(60):
        while (await found(mesh, study)).generation == 1:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
    second = await settled(mesh, study)
    after = await at_work(mesh, study)

    request = archive_pb.GetStudyRequest(study_id=second.study_id)
    series = (await ArchiveServiceStub(mesh).GetStudy(request)).series
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


async def test_what_a_sender_that_dies_brought_is_complete_after_quiet_alone(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    async with storing(quick) as dying:
        await store(dying, slices(study, 1, [1, 2]))
        await asyncio.to_thread(dying.abort)
    waiting = await until_waits(mesh, study, "QUIET")
    done = await settled(mesh, study)

    assert waiting.waits[0].total_s == QUIET_S
    assert (evidence(done), done.instance_count) == ("QUIET", 2)


async def test_a_sender_with_a_manifest_is_waited_for_until_all_of_it_is_there(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    whole = slices(study, 1, [1, 2, 3])
    await declare(mesh, study, whole)
    await send(quick, whole[:2])
    waiting = await until_waits(mesh, study, "ANNOUNCED", "QUIET")
    await send(quick, whole[2:])
    done = await settled(mesh, study)

    assert waiting.waits[0].text == "2 of 3 announced instances are here"
    assert waiting.waits[1].total_s == 7
    assert (evidence(done), done.generation) == ("MANIFEST", 1)


async def test_a_study_that_stays_short_of_its_manifest_goes_on_and_says_so(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    whole = slices(study, 1, [1, 2])
    await declare(mesh, study, whole)
    await send(quick, whole[:1])
    done = await settled(mesh, study)
    work = await at_work(mesh, study)

    said = work.announcement
    assert evidence(done) == "QUIET"
    assert (said.present_count, said.announced_count) == (1, 2)


async def test_a_person_need_not_wait_and_a_confirmed_count_is_better_evidence(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    study = new_uid()
    stub = CompletenessServiceStub(mesh)
    async with storing(quick) as still_open:
        await store(still_open, slices(study, 1, [1]))
        study_id = (await found(mesh, study)).study_id
        said = await stub.CompleteStudy(completeness_pb.CompleteStudyRequest(study_id=study_id))
        await settled(mesh, study)
        request = completeness_pb.ConfirmCountRequest(
            study_instance_uid=study, source="PACS", instance_count=1
        )
        await stub.ConfirmCount(request)
        confirmed = await found(mesh, study)

    assert said.evidence == archive_pb.EVIDENCE_PERSON
    assert evidence(confirmed) == "COUNT"


async def test_a_scheduled_step_is_found_performed_and_is_evidence_of_completeness(
    quick: RunningStack, mesh: MeshChannel
) -> None:
    await register(mesh)
    worklist = WorklistServiceStub(mesh)
    csv = (
        "patient_id,patient_name,station,date,time,modality,accession_number\n"
        f"GATEWAY-1,PHANTOM^GATEWAY,{MODALITY},20260105,0930,CT,ACC1\n"
    )
    await worklist.ImportScheduledSteps(
        worklist_pb.ImportScheduledStepsRequest(csv=csv.encode(), all_or_nothing=True)
    )

    def perform() -> Dataset:
        association = associate(quick.dicom_port, WORKLIST, PERFORMED)
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
    await send(quick, images)
    waiting = await until_waits(mesh, study, "PROCEDURE_STEP", "QUIET")

    def finish() -> int:
        association = associate(quick.dicom_port, PERFORMED)
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
    complete = await settled(mesh, study)
    steps = (await worklist.ListScheduledSteps(worklist_pb.ListScheduledStepsRequest())).steps

    assert waiting.waits[0].text == "1 procedure step is still in progress"
    assert evidence(complete) == "MANIFEST"
    assert [step.state for step in steps] == [step_pb.SCHEDULED_STEP_STATE_COMPLETED]


async def declare(mesh: MeshChannel, study: str, datasets: Sequence[Dataset]) -> None:
    series = completeness_pb.AnnouncedSeries(
        series_instance_uid=str(datasets[0].SeriesInstanceUID),
        sop_instance_uids=[str(dataset.SOPInstanceUID) for dataset in datasets],
    )
    request = completeness_pb.DeclareManifestRequest(
        study_instance_uid=study, name="sender", series=[series]
    )
    await CompletenessServiceStub(mesh).DeclareManifest(request)


async def register(mesh: MeshChannel) -> None:
    spec = peers_pb.PeerSpec(
        name="scanner",
        trust_zone=peers_pb.TRUST_ZONE_INSIDE,
        dimse=peers_pb.DimseAddress(ae_title=MODALITY, host="127.0.0.1", port=104),
    )
    await PeersServiceStub(mesh).CreatePeer(peers_pb.CreatePeerRequest(spec=spec))

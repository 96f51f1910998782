"""Studies as they arrive at a running stack, and how their completeness is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from pydicom.dataset import Dataset
from pynetdicom.association import Association

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.workflow.v1 import completeness_service_pb2 as completeness_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.completeness_service_pb2_grpc import CompletenessServiceStub
from services.runtime.client import MeshChannel
from tests.support import modality
from tests.support.modality import associate
from tests.support.running_stack import RunningStack
from tests.support.studies import workflow


@asynccontextmanager
async def storing(stack: RunningStack) -> AsyncIterator[Association]:
    """Give an association for storage; it is released in the end unless it was aborted."""
    association = await asyncio.to_thread(associate, stack.dicom_port)
    yield association
    if association.is_established:
        await asyncio.to_thread(association.release)


async def send(stack: RunningStack, datasets: Sequence[Dataset]) -> None:
    """Send instances over an association that is released."""
    await asyncio.to_thread(modality.send, stack.dicom_port, datasets)


async def store(association: Association, datasets: Sequence[Dataset]) -> None:
    """Send instances, each acknowledged."""
    await asyncio.to_thread(modality.store, association, datasets)


async def found(channel: MeshChannel, uid: str) -> archive_pb.Study:
    """Return a study by its Study Instance UID."""
    request = archive_pb.GetStudyRequest(study_instance_uid=uid)
    return (await ArchiveServiceStub(channel).GetStudy(request)).study


async def at_work(channel: MeshChannel, uid: str) -> pb.StudyWorkflow:
    """Return the work on a study."""
    return await workflow(channel, (await found(channel, uid)).study_id)


async def until_waits(channel: MeshChannel, uid: str, *codes: str) -> pb.StudyWorkflow:
    """Wait until a study waits for just these things."""
    async with asyncio.timeout(30):
        while True:
            now = await at_work(channel, uid)
            if [wait.code for wait in now.waits] == list(codes):
                return now
            await asyncio.sleep(0.1)


def evidence(study: archive_pb.Study) -> str:
    """Return how a study's completeness is known, e.g. "QUIET"."""
    return archive_pb.Evidence.Name(study.evidence).removeprefix("EVIDENCE_")


async def declare(channel: MeshChannel, study: str, datasets: Sequence[Dataset]) -> None:
    """Announce instances of one series."""
    series = completeness_pb.AnnouncedSeries(
        series_instance_uid=str(datasets[0].SeriesInstanceUID),
        sop_instance_uids=[str(dataset.SOPInstanceUID) for dataset in datasets],
    )
    request = completeness_pb.DeclareManifestRequest(
        study_instance_uid=study, name="sender", series=[series]
    )
    await CompletenessServiceStub(channel).DeclareManifest(request)

"""Waiting for what becomes of studies, and reading it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.runtime.client import MeshChannel, open_channel
from services.runtime.token_source import FileTokenSource
from tests.support.running_stack import RunningStack

SETTLED: Final = frozenset({archive_pb.STUDY_STATE_READY, archive_pb.STUDY_STATE_HELD})


def operator_channel(stack: RunningStack) -> MeshChannel:
    """Return a channel through Envoy with the rights of the data folder's owner."""
    state = stack.state
    source = FileTokenSource(Path(state.run) / "tokens" / "operator.jwt")
    return open_channel(state.addresses.mesh, source)


async def settled(channel: MeshChannel, uid: str, timeout_s: float = 240) -> archive_pb.Study:
    """Wait until the study with this Study Instance UID is ready or held."""
    request = archive_pb.ListStudiesRequest(study_instance_uid=uid)
    async with asyncio.timeout(timeout_s):
        while True:
            studies = await _listed(channel, request)
            if studies and studies[0].state in SETTLED:
                return studies[0]
            await asyncio.sleep(0.5)


async def _listed(
    channel: MeshChannel, request: archive_pb.ListStudiesRequest
) -> Sequence[archive_pb.Study]:
    try:
        return (await ArchiveServiceStub(channel).ListStudies(request)).studies
    except grpc.aio.AioRpcError as error:
        # On a busy machine a killed coordinator takes longer to come back than calls are retried.
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return ()


async def workflow(channel: MeshChannel, study_id: str) -> pb.StudyWorkflow:
    """Return the work on a study."""
    request = pb.GetStudyWorkflowRequest(study_id=study_id)
    return (await WorkflowServiceStub(channel).GetStudyWorkflow(request)).workflow


async def results(channel: MeshChannel, study_id: str) -> pb.GetStudyResultsResponse:
    """Return what was made of a study."""
    request = pb.GetStudyResultsRequest(study_id=study_id)
    return await WorkflowServiceStub(channel).GetStudyResults(request)


def volumes_ml(found: pb.GetStudyResultsResponse) -> dict[str, float]:
    """Return measured volumes by structure."""
    return {
        m.structure: m.value.number
        for series in found.series
        for analysis in series.analyses
        for m in analysis.measurements
        if m.name.endswith(".volume") and m.HasField("value")
    }

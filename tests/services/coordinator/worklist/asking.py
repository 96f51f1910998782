"""Questions to the worklist."""

from __future__ import annotations

from collections.abc import Awaitable

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from services.runtime.client import error_info
from tests.services.coordinator.worklist.conftest import Worklist

HEAD = "patient_id,patient_name,station,date,time,modality,accession_number,priority\n"


async def refused(call: Awaitable[object]) -> tuple[str, dict[str, str]]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info(caught.value)
    assert info is not None
    return info.reason, dict(info.metadata)


async def schedule(worklist: Worklist, spec: step_pb.ScheduledStepSpec) -> step_pb.ScheduledStep:
    request = pb.CreateScheduledStepRequest(spec=spec)
    return (await worklist.stub.CreateScheduledStep(request)).step


def values(keyword: str, *wanted: str) -> archive_pb.AttributeMatch:
    return archive_pb.AttributeMatch(
        keyword=keyword, values=archive_pb.ValueList(values=list(wanted))
    )


async def query(worklist: Worklist, *matches: archive_pb.AttributeMatch) -> list[str]:
    request = pb.QueryWorklistRequest(matches=matches)
    return [
        step.spec.patient.patient_id
        async for batch in worklist.stub.QueryWorklist(request)
        for step in batch.steps
    ]

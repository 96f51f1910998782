"""The workflow servicer, called through a real channel."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.analysis.v1.analysis_service_pb2_grpc import AnalysisServiceStub
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1 import workflow_service_pb2_grpc as pb_grpc
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.retry import RetryPolicy
from services.coordinator.workflow.service import WorkflowService
from services.coordinator.workflow.watch import ChangeFeed
from services.runtime.client import error_info
from services.runtime.ids import new_id
from services.runtime.postgres import Pool
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.workflow.fake_mesh import FakeMesh, Gate
from tests.services.coordinator.workflow.workshop import Workshop, open_workshop, stage_named
from tests.support.mesh import running_server

pytestmark = pytest.mark.postgres


@pytest.fixture
def draining() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def stub(
    workshop: Workshop, tmp_path: Path, draining: asyncio.Event
) -> AsyncIterator[pb_grpc.WorkflowServiceAsyncStub]:
    feed = ChangeFeed(workshop.pool, every_s=0.05, draining=draining)
    service = WorkflowService(
        workshop.views, workshop.interventions, feed, AnalysisServiceStub(workshop.channel)
    )
    task = asyncio.create_task(feed.run())
    async with running_server(
        tmp_path, lambda server: pb_grpc.add_WorkflowServiceServicer_to_server(service, server)
    ) as running:
        yield pb_grpc.WorkflowServiceStub(
            running.channel(
                Permission.PERMISSION_WORKFLOW_READ, Permission.PERMISSION_WORKFLOW_WRITE
            )
        )
    task.cancel()


async def _fails(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info(caught.value)
    assert info is not None
    return caught.value.code(), info.reason


async def test_a_watcher_sees_the_study_until_it_is_ready(
    workshop: Workshop, stub: pb_grpc.WorkflowServiceAsyncStub
) -> None:
    async with workshop.working():
        study_id = await workshop.receive(arrival())
        request = pb.WatchStudyWorkflowRequest(study_id=study_id, until_settled=True)
        seen: list[int] = []
        async for message in stub.WatchStudyWorkflow(request):
            if not seen:
                await workshop.call_complete()
            seen.append(message.workflow.state)

    assert seen[0] == archive_pb.STUDY_STATE_RECEIVING
    assert seen[-1] == archive_pb.STUDY_STATE_READY


async def test_a_watcher_is_let_go_when_the_server_stops(
    workshop: Workshop, stub: pb_grpc.WorkflowServiceAsyncStub, draining: asyncio.Event
) -> None:
    study_id = await workshop.receive(arrival())
    count = 0

    async with asyncio.timeout(5):
        async for _ in stub.WatchStudyWorkflow(pb.WatchStudyWorkflowRequest(study_id=study_id)):
            count += 1
            draining.set()

    assert count >= 1


async def test_a_study_that_is_arriving_says_how_long_it_has_to_be_quiet(
    workshop: Workshop, mesh_address: str, database: Pool
) -> None:
    rules = CompletenessRules(timedelta(seconds=60), timedelta(seconds=2))
    patient = open_workshop(database, mesh_address, rules=rules)
    study_id = await patient.receive(arrival())

    workflow = await patient.views.study_workflow(study_id)

    await patient.channel.close()
    assert [(wait.code, wait.text) for wait in workflow.waits] == [
        ("QUIET", "Quiet for 0 s of 60 s"),
        ("ASSOCIATION_OPEN", "1 association is still open"),
    ]
    assert await patient.completeness.judge() == 0


async def test_a_failed_stage_says_when_it_is_tried_again(
    database: Pool, mesh_address: str, mesh: FakeMesh
) -> None:
    async def fault(name: str) -> None:
        if name == "select":
            raise RuntimeError("fault")

    mesh.before = fault
    slow = open_workshop(database, mesh_address, policy=RetryPolicy(first_delay_s=30))
    async with slow.working():
        study_id = await slow.begin(arrival())
        workflow = await slow.until(
            study_id, lambda found: any(wait.code == "RETRY" for wait in found.waits)
        )
    await slow.channel.close()

    text = workflow.waits[0].text
    assert re.fullmatch(r"Tried again in [23]\d s: an unexpected error came up", text)
    assert stage_named(workflow, "plan").HasField("next_attempt_time")


async def test_pages_of_stages_hold_each_stage_once(
    workshop: Workshop, stub: pb_grpc.WorkflowServiceAsyncStub
) -> None:
    for number in range(5):
        await workshop.begin(arrival(study(f"1.2.{number}"), data=b"%d" % number))
    first = await stub.ListStages(pb.ListStagesRequest(page_size=3))
    second = await stub.ListStages(
        pb.ListStagesRequest(page_size=3, page_token=first.next_page_token)
    )
    other = await stub.ListStages(pb.ListStagesRequest(state=pb.STAGE_STATE_HELD))

    ids = [stage.stage_id for stage in (*first.stages, *second.stages)]
    assert len(first.stages) == 3
    assert len(set(ids)) == 5
    assert not second.next_page_token
    assert not other.stages


async def test_studies_are_summed_up_in_the_order_asked(
    workshop: Workshop, mesh: FakeMesh, stub: pb_grpc.WorkflowServiceAsyncStub
) -> None:
    gate = Gate("convert CT")
    mesh.before = gate
    async with workshop.working():
        running = await workshop.begin(arrival())
        await asyncio.wait_for(gate.reached.wait(), 10)
        await workshop.until(
            running, lambda found: stage_named(found, "convert").progress.activity == "Converting"
        )
        await workshop.until(
            running, lambda found: stage_named(found, "describe").state == pb.STAGE_STATE_DONE
        )
        arriving = await workshop.receive(arrival(study("1.9"), data=b"9"))
        request = pb.SummarizeStudiesRequest(study_ids=[arriving, new_id(), "1.2.3", running])
        reply = await stub.SummarizeStudies(request)

    first, second = reply.summaries
    assert (first.study_id, first.wait.code) == (arriving, "QUIET")
    assert (first.stage_count, first.activity) == (0, "")
    assert (second.study_id, second.activity) == (running, "Converting")
    assert (second.finished_stage_count, second.stage_count) == (2, 5)
    assert second.state == archive_pb.STUDY_STATE_PROCESSING
    assert second.priority == pb.PRIORITY_ROUTINE
    assert not second.HasField("wait")


async def test_the_queue_is_summed_up(
    workshop: Workshop, stub: pb_grpc.WorkflowServiceAsyncStub
) -> None:
    await workshop.begin(arrival())

    queue = await stub.GetQueue(pb.GetQueueRequest())

    assert [(one.state, one.count) for one in queue.stages] == [(pb.STAGE_STATE_PENDING, 1)]
    assert [(one.state, one.count) for one in queue.studies] == [
        (archive_pb.STUDY_STATE_COMPLETE, 1)
    ]
    assert queue.HasField("oldest_pending_time")


async def test_replay_cancel_and_priority_go_through(
    workshop: Workshop, stub: pb_grpc.WorkflowServiceAsyncStub
) -> None:
    study_id = await workshop.begin(arrival())
    cancelled = await stub.CancelStudy(pb.CancelStudyRequest(study_id=study_id))
    reply = await stub.GetStudyWorkflow(pb.GetStudyWorkflowRequest(study_id=study_id))
    stage_id = stage_named(reply.workflow, "plan").stage_id
    await stub.SetStudyPriority(
        pb.SetStudyPriorityRequest(study_id=study_id, priority=pb.PRIORITY_HIGH)
    )

    replayed = await stub.ReplayStage(pb.ReplayStageRequest(stage_id=stage_id))

    assert cancelled.stopped_count == 1
    assert replayed.stage.state == pb.STAGE_STATE_PENDING


async def test_what_cannot_be_is_answered_with_its_reason(
    workshop: Workshop, stub: pb_grpc.WorkflowServiceAsyncStub
) -> None:
    study_id = await workshop.receive(arrival())
    (series,) = await workshop.archive.series_records(study_id)

    unknown_study = await _fails(
        stub.GetStudyWorkflow(pb.GetStudyWorkflowRequest(study_id=new_id()))
    )
    not_an_id = await _fails(stub.GetStudyResults(pb.GetStudyResultsRequest(study_id="1.2.3")))
    unknown_stage = await _fails(stub.ReplayStage(pb.ReplayStageRequest(stage_id="x")))
    unknown_model = await _fails(
        stub.StartAnalysis(
            pb.StartAnalysisRequest(
                study_id=study_id, series_ids=[series.series_id], model="made_up"
            )
        )
    )
    no_priority = await _fails(stub.SetStudyPriority(pb.SetStudyPriorityRequest(study_id=study_id)))
    bad_token = await _fails(stub.ListStages(pb.ListStagesRequest(page_token="??")))
    no_series = await _fails(
        stub.StartAnalysis(pb.StartAnalysisRequest(study_id=study_id, model="ct_tissue"))
    )

    assert unknown_study == (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_STUDY_NOT_FOUND")
    assert not_an_id == (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_STUDY_NOT_FOUND")
    assert unknown_stage == (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_STAGE_NOT_FOUND")
    assert unknown_model == (grpc.StatusCode.NOT_FOUND, "ERROR_REASON_MODEL_NOT_FOUND")
    for invalid in (no_priority, bad_token, no_series):
        assert invalid == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_FIELD")

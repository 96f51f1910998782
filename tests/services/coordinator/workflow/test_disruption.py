"""Workers that die, come late or compete; a database that goes away; work that kills."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1.workflow_service_pb2 import STAGE_STATE_RUNNING as RUNNING
from services.coordinator.workflow import store
from services.coordinator.workflow.errors import AttemptFencedError
from services.coordinator.workflow.plan import StageSpec
from services.coordinator.workflow.progression import Progression
from services.coordinator.workflow.queue import Job
from services.coordinator.workflow.retry import Failure
from services.coordinator.workflow.runner import Attempt, ProgressSink, StageResult
from services.coordinator.workflow.stages import Priority, StageKind
from services.runtime.ids import new_id
from services.runtime.postgres import Pool, connection, open_pool, transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.workflow.fake_mesh import FakeMesh, Gate
from tests.services.coordinator.workflow.workshop import (
    Workshop,
    open_workshop,
    stage_named,
    states,
)

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).parents[4]


class NoWork:
    """Does nothing and says that it is done."""

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        if attempt.stage.kind is StageKind.PLAN:
            return StageResult(plan=(b"", (StageSpec(StageKind.REPORT, None),)))
        return StageResult(result=b"", output_key="nothing")


async def _take(workshop: Workshop) -> tuple[Job, Attempt]:
    (job,) = await workshop.queue.take(1, dict.fromkeys(StageKind, 4), urgent_only=False)
    attempt = await workshop.lifecycle.take(job)
    assert attempt is not None
    return job, attempt


async def _attempt_outcomes(pool: Pool, stage_id: str) -> list[str]:
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch(
            "SELECT outcome FROM workflow.attempt WHERE stage_id = $1 ORDER BY number", stage_id
        )
    return [row["outcome"] for row in rows]


async def _ready_events(pool: Pool) -> dict[str, int]:
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch(
            "SELECT study_id::text, count(*) AS count FROM events.event "
            "WHERE state = 'STUDY_STATE_READY' GROUP BY study_id"
        )
    return {row["study_id"]: row["count"] for row in rows}


async def test_the_stage_of_a_killed_process_is_finished_once_by_another(
    workshop: Workshop, mesh: FakeMesh, mesh_address: str, postgres_dsn: str
) -> None:
    gate = Gate("convert CT")
    mesh.before = gate
    study_id = await workshop.begin(arrival())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.services.coordinator.workflow.worker",
        postgres_dsn,
        mesh_address,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/gen/python"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    await asyncio.wait_for(gate.reached.wait(), 20)

    process.send_signal(signal.SIGKILL)
    await process.wait()
    mesh.before = None
    async with workshop.working():
        workflow = await workshop.settled(study_id)
    gate.opened.set()

    attempts = stage_named(workflow, "convert").attempts
    assert workflow.state == archive_pb.STUDY_STATE_READY
    assert [attempt.outcome for attempt in attempts] == ["lost", "done"]
    assert [attempt.worker for attempt in attempts] == ["killed", "tester"]
    assert not attempts[0].HasField("end_time")
    assert await _ready_events(workshop.pool) == {study_id: 1}


async def test_a_worker_that_is_told_to_stop_gives_its_stage_back_at_once(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    gate = Gate("convert CT")
    mesh.before = gate
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await asyncio.wait_for(gate.reached.wait(), 10)
    mesh.before = None
    released = stage_named(await workshop.views.study_workflow(study_id), "convert")

    async with workshop.working():
        workflow = await workshop.settled(study_id)

    attempts = stage_named(workflow, "convert").attempts
    assert released.state == 1
    assert [attempt.outcome for attempt in attempts] == ["cancelled", "done"]
    assert not stage_named(workflow, "convert").HasField("next_attempt_time")


async def test_the_result_of_a_late_worker_is_rejected(workshop: Workshop, database: Pool) -> None:
    study_id = await workshop.begin(arrival())
    late_job, late = await _take(workshop)
    await asyncio.sleep(1.2)
    job, attempt = await _take(workshop)
    result = await NoWork().run(attempt, lambda _fraction, _activity: None)

    with pytest.raises(AttemptFencedError):
        await workshop.lifecycle.finish(late_job, late, result)
    with pytest.raises(AttemptFencedError):
        await workshop.lifecycle.fail(late_job, late, Failure("INTERNAL"))
    with pytest.raises(AttemptFencedError):
        await workshop.lifecycle.record_progress(late, 0.5, "Late")
    await workshop.lifecycle.finish(job, attempt, result)

    workflow = await workshop.views.study_workflow(study_id)
    assert job.job_id == late_job.job_id
    assert states(workflow) == {"plan": "done", "report": "pending"}
    assert await _attempt_outcomes(database, job.stage_id) == ["lost", "done"]


async def test_a_result_that_comes_twice_changes_nothing(workshop: Workshop) -> None:
    await workshop.begin(arrival())
    job, attempt = await _take(workshop)
    result = await NoWork().run(attempt, lambda _fraction, _activity: None)
    await workshop.lifecycle.finish(job, attempt, result)

    with pytest.raises(AttemptFencedError):
        await workshop.lifecycle.finish(job, attempt, result)

    assert await _attempt_outcomes(workshop.pool, job.stage_id) == ["done"]


async def test_late_instances_fence_the_running_stage(workshop: Workshop, mesh: FakeMesh) -> None:
    gate = Gate("convert CT")
    mesh.before = gate
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await asyncio.wait_for(gate.reached.wait(), 10)
        await workshop.receive(arrival(number=2, data=b"late"))
        fenced = await workshop.views.study_workflow(study_id)
        mesh.before = None
        await workshop.call_complete()
        workflow = await workshop.settled(study_id)
        gate.opened.set()

    old = next(s for s in fenced.stages if s.name == "convert")
    assert fenced.state == archive_pb.STUDY_STATE_RECEIVING
    assert old.state == 6
    assert [attempt.outcome for attempt in old.attempts] == ["fenced"]
    assert workflow.generation == 2
    assert states(workflow)["report"] == "done"
    assert await _ready_events(workshop.pool) == {study_id: 1}


async def test_two_dispatchers_run_no_stage_twice(
    mesh: FakeMesh, mesh_address: str, database: Pool
) -> None:
    one, other = (
        open_workshop(database, mesh_address, worker=worker, slots=1) for worker in ("one", "other")
    )

    async def until_both_work(_name: str) -> None:
        while len(await _workers(database)) < 2:  # noqa: ASYNC110 -- the database tells nobody
            await asyncio.sleep(0.02)

    mesh.before = until_both_work
    async with one.working(), other.working():
        ids = [await one.begin(arrival(study(f"1.2.{n}"), data=str(n).encode())) for n in range(12)]
        for study_id in ids:
            await one.settled(study_id, timeout_s=60)
    await one.channel.close()
    await other.channel.close()

    async with connection(database) as borrowed:
        most = await borrowed.fetchval("SELECT max(attempt_count) FROM workflow.stage")
    assert most == 1
    assert mesh.calls["convert CT"] == len(ids)
    assert await _ready_events(database) == dict.fromkeys(ids, 1)


async def _workers(pool: Pool) -> set[str]:
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch("SELECT DISTINCT worker FROM workflow.attempt")
    return {row["worker"] for row in rows}


async def test_a_stage_that_always_fails_is_held_while_others_go_on(
    workshop: Workshop, mesh: FakeMesh
) -> None:
    async def poison(name: str) -> None:
        if name == "convert MR":
            raise RuntimeError("always")

    mesh.before = poison
    async with workshop.working():
        ill = await workshop.begin(arrival(study("1.2.7"), modality="MR", data=b"mr"))
        well = await workshop.begin(arrival())
        ready = await workshop.settled(well)
        held = await workshop.settled(ill)

    stage = stage_named(held, "convert")
    assert ready.state == archive_pb.STUDY_STATE_READY
    assert held.state == archive_pb.STUDY_STATE_HELD
    assert len(stage.attempts) == 3
    assert stage.reason.code == "INTERNAL"
    assert states(held)["report"] == "pending"


async def test_work_that_kills_its_workers_is_held_in_the_end(
    workshop: Workshop, database: Pool
) -> None:
    study_id = await workshop.begin(arrival())
    for _ in range(3):
        await _take(workshop)
        async with connection(database) as borrowed:
            await borrowed.execute(
                "UPDATE workflow.pgqueuer SET heartbeat = now() - interval '1 minute'"
            )
    (job,) = await workshop.queue.take(1, dict.fromkeys(StageKind, 4), urgent_only=False)

    taken = await workshop.lifecycle.take(job)

    workflow = await workshop.views.study_workflow(study_id)
    assert taken is None
    assert workflow.state == archive_pb.STUDY_STATE_HELD
    assert stage_named(workflow, "plan").reason.code == "ATTEMPTS_LOST"
    assert await workshop.queue.take(1, dict.fromkeys(StageKind, 4), urgent_only=False) == []


async def test_work_goes_on_after_every_connection_was_cut(
    workshop: Workshop, mesh: FakeMesh, postgres_server_dsn: str
) -> None:
    gate = Gate("convert CT")
    mesh.before = gate
    outside = await open_pool(postgres_server_dsn, application_name="outside", max_size=1)
    async with workshop.working():
        study_id = await workshop.begin(arrival())
        await asyncio.wait_for(gate.reached.wait(), 10)
        for _ in range(5):
            async with connection(outside) as borrowed:
                await borrowed.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'test'"
                )
            await asyncio.sleep(0.1)
        gate.opened.set()
        workflow = await workshop.settled(study_id)
    await outside.close()

    assert workflow.state == archive_pb.STUDY_STATE_READY
    assert mesh.calls["convert CT"] == 1


async def test_an_urgent_study_starts_at_once_among_two_thousand(
    database: Pool, mesh_address: str
) -> None:
    begun = asyncio.Event()

    class Slow(NoWork):
        async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
            if attempt.stage.priority == Priority.STAT:
                begun.set()
            else:
                await asyncio.sleep(3600)
            return await super().run(attempt, progress)

    workshop = open_workshop(database, mesh_address, runner=Slow(), slots=2)
    crowd = await workshop.begin(arrival())
    async with transaction(database) as borrowed:
        await workshop.archive.lock_study(borrowed, crowd)
        specs = [StageSpec(StageKind.DESCRIBE, new_id()) for _ in range(2000)]
        await store.insert_stages(borrowed, crowd, 1, specs, priority=2, correlation_id="")
        await Progression(workshop.archive, workshop.queue).advance(borrowed, crowd, 1)
    async with workshop.working():
        await asyncio.sleep(0.5)
        study_id = await workshop.receive(arrival(study("1.9"), data=b"urgent"))
        await workshop.interventions.set_priority(study_id, Priority.STAT)
        await workshop.call_complete()
        await asyncio.wait_for(begun.wait(), 10)
        queue = await workshop.views.queue()
    await workshop.channel.close()

    running = next(count.count for count in queue.stages if count.state == RUNNING)
    assert running >= 2

"""A workflow over a real database, put together as the coordinator does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from heimdallr.archive.v1.archive_service_pb2 import StudyState
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.coordinator.archive.arrival import Arrival
from services.coordinator.archive.indexer import Indexer
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.completeness_loop import CompletenessLoop
from services.coordinator.workflow.dispatcher import Dispatcher, DispatchRules
from services.coordinator.workflow.interventions import Interventions
from services.coordinator.workflow.lifecycle import StageLifecycle
from services.coordinator.workflow.mesh_runner.runner import MeshRunner
from services.coordinator.workflow.pgqueuer_queue import PgQueuerQueue
from services.coordinator.workflow.retry import RetryPolicy
from services.coordinator.workflow.runner import StageRunner
from services.coordinator.workflow.views import WorkflowViews
from services.runtime.client import MeshChannel, open_channel
from services.runtime.postgres import Pool, transaction

PACKAGES: Final = (
    "services.coordinator.archive",
    "services.coordinator.events",
    "services.coordinator.workflow",
    "services.coordinator.deidentification",
    "services.coordinator.crosswalk",
)
AT_ONCE: Final = CompletenessRules(timedelta(0), timedelta(0))
QUICK: Final = RetryPolicy(failure_limit=3, outage_limit=3, first_delay_s=0.05, longest_delay_s=0.1)
LEASE: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Workshop:
    """One coordinator's workflow.

    Attributes:
        archive: Knows the studies.
        dispatcher: Has stages done.
    """

    pool: Pool
    channel: MeshChannel
    archive: ArchiveStore
    queue: PgQueuerQueue
    lifecycle: StageLifecycle
    dispatcher: Dispatcher
    interventions: Interventions
    completeness: CompletenessLoop
    views: WorkflowViews

    async def receive(self, *arrivals: Arrival) -> str:
        """Index instances of one study and return our id of it."""
        indexer = Indexer(self.interventions.on_generation_opened)
        async with transaction(self.pool) as connection:
            indexed = await indexer.index(connection, arrivals)
        return indexed[0].held.study_id

    async def begin(self, *arrivals: Arrival) -> str:
        """Index instances of one study, call it complete and return our id of it."""
        study_id = await self.receive(*arrivals)
        await self.call_complete()
        return study_id

    async def call_complete(self) -> None:
        """Begin the work on what has arrived; a clock that was set back a little is waited for."""
        for _ in range(50):
            if await self.completeness.judge():
                return
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Have stages done meanwhile."""
        task = asyncio.create_task(self.dispatcher.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def settled(self, study_id: str, timeout_s: float = 20) -> pb.StudyWorkflow:
        """Wait until a study is ready or held."""
        return await self.reaches(
            study_id, "STUDY_STATE_READY", "STUDY_STATE_HELD", timeout_s=timeout_s
        )

    async def reaches(self, study_id: str, *states: str, timeout_s: float = 20) -> pb.StudyWorkflow:
        """Wait until a study is in one of the named states."""
        return await self.until(
            study_id, lambda workflow: StudyState.Name(workflow.state) in states, timeout_s
        )

    async def until(
        self,
        study_id: str,
        condition: Callable[[pb.StudyWorkflow], bool],
        timeout_s: float = 20,
    ) -> pb.StudyWorkflow:
        """Wait until something is true of the work on a study."""
        async with asyncio.timeout(timeout_s):
            while True:
                workflow = await self.views.study_workflow(study_id)
                if condition(workflow):
                    return workflow
                await asyncio.sleep(0.05)


def open_workshop(
    pool: Pool,
    address: str,
    *,
    worker: str = "tester",
    lease: timedelta = LEASE,
    policy: RetryPolicy = QUICK,
    rules: CompletenessRules = AT_ONCE,
    runner: StageRunner | None = None,
    slots: int = 6,
) -> Workshop:
    """Put a workflow together."""
    channel = open_channel(address)
    archive = ArchiveStore(pool)
    queue = PgQueuerQueue(pool, lease)
    lifecycle = StageLifecycle(pool, archive, queue, worker, policy)
    dispatcher = Dispatcher(
        queue,
        lifecycle,
        runner or MeshRunner(channel, archive, pool),
        DispatchRules(slots=slots, lease=lease, poll_s=0.1, progress_every_s=0.1),
    )
    return Workshop(
        pool,
        channel,
        archive,
        queue,
        lifecycle,
        dispatcher,
        Interventions(pool, archive, queue, dispatcher.wake),
        CompletenessLoop(pool, archive, lifecycle, rules, dispatcher.wake, every_s=0.05),
        WorkflowViews(pool, archive, rules),
    )


def states(workflow: pb.StudyWorkflow) -> Mapping[str, str]:
    """Return the state of each stage of the latest generation, by name."""
    return {
        stage.name: pb.StageState.Name(stage.state).removeprefix("STAGE_STATE_").lower()
        for stage in workflow.stages
        if stage.generation == workflow.generation
    }


def stage_named(workflow: pb.StudyWorkflow, name: str) -> pb.Stage:
    """Return the stage of the latest generation with this name."""
    return next(
        stage
        for stage in workflow.stages
        if stage.name == name and stage.generation == workflow.generation
    )

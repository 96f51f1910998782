"""The life of a stage: begun, finished, postponed, held. Each step is one transaction."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from services.coordinator.archive.errors import StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import JudgedStudy, StudyState
from services.coordinator.workflow import store
from services.coordinator.workflow.errors import AttemptFencedError
from services.coordinator.workflow.plan import StageSpec
from services.coordinator.workflow.progression import Progression
from services.coordinator.workflow.queue import Job, JobQueue
from services.coordinator.workflow.retry import Failure, Hold, RetryLater, RetryPolicy, decide
from services.coordinator.workflow.runner import Attempt, StageResult
from services.coordinator.workflow.stages import Stage, StageKind, StageState
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, transaction

LOST: Failure = Failure("ABORTED", "ERROR_REASON_ATTEMPTS_LOST")


class StageLifecycle:
    """Moves stages from state to state, each with its job and the study's state.

    Args:
        pool: Pool of the database.
        archive: Holds the studies' states and locks.
        queue: Where jobs wait.
        worker: Name of this process in attempts.
        policy: How patient we are with failures.
        chance: Source of jitter, 0 to 1.
    """

    def __init__(
        self,
        pool: Pool,
        archive: ArchiveStore,
        queue: JobQueue,
        worker: str,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._pool = pool
        self._archive = archive
        self._queue = queue
        self._worker = worker
        self._policy = policy
        self._chance = chance
        self._progression = Progression(archive, queue)

    async def begin_study(self, connection: Connection, judged: JudgedStudy) -> None:
        """Call a study complete and let it be planned; the study is locked by the caller."""
        await self._archive.set_study_state(
            connection, judged.study_id, StudyState.COMPLETE, judged.evidence
        )
        record = await self._archive.study_record(judged.study_id, connection)
        if record is None:
            raise StudyNotFoundError(judged.study_id)
        await store.insert_stages(
            connection,
            judged.study_id,
            judged.generation,
            [StageSpec(StageKind.PLAN, None)],
            priority=record.priority,
            correlation_id=new_id(),
        )
        await self._progression.advance(connection, judged.study_id, judged.generation)

    async def take(self, job: Job) -> Attempt | None:
        """Begin an attempt; None, and the job is removed, when there is nothing to do for it."""
        async with transaction(self._pool) as connection:
            stage = await self._locked_stage(connection, job)
            if stage is None:
                await self._queue.finish(connection, job)
                return None
            lost = stage.current_attempt_id is not None
            if stage.current_attempt_id is not None:
                await store.end_attempt(connection, stage.current_attempt_id, "lost")
            attempt = await store.begin_attempt(
                connection,
                stage,
                worker=self._worker,
                failure_count=stage.failure_count + lost,
            )
            if attempt is None or (lost and await self._held_as_lost(connection, job, attempt)):
                return None
            await self._mark_begun(connection, stage)
            return attempt

    async def finish(self, job: Job, attempt: Attempt, result: StageResult) -> None:
        """Keep the outcome of an attempt and let go on what waited for it.

        Raises:
            AttemptFencedError: Another attempt has taken over, or the stage was taken away.
        """
        stage = attempt.stage
        async with transaction(self._pool) as connection:
            await self._archive.lock_study(connection, stage.study_id)
            if await store.finish_stage(connection, attempt, result):
                if result.plan is not None:
                    await self._write_plan(connection, stage, *result.plan)
                if result.keep is not None:
                    await result.keep(connection)
                await self._queue.finish(connection, job)
                await self._progression.advance(connection, stage.study_id, stage.generation)
                return
        await self._fence(job, attempt)

    async def fail(self, job: Job, attempt: Attempt, failure: Failure) -> RetryLater | Hold:
        """Postpone or hold a stage whose attempt failed.

        Raises:
            AttemptFencedError: Another attempt has taken over, or the stage was taken away.
        """
        stage = attempt.stage
        async with transaction(self._pool) as connection:
            await self._archive.lock_study(connection, stage.study_id)
            current = await store.stage_by_id(connection, stage.stage_id)
            if current is not None and current.current_attempt_id == attempt.attempt_id:
                count = current.failure_count + 1
                decision = decide(failure, count, self._policy, self._chance())
                await self._settle_failure(connection, attempt, decision, count)
                reason = failure.reason or failure.code
                await store.end_attempt(connection, attempt.attempt_id, "failed", reason)
                await self._queue.finish(connection, job)
                await self._progression.advance(connection, stage.study_id, stage.generation)
                return decision
        return await self._fence(job, attempt)

    async def release(self, job: Job, attempt: Attempt) -> None:
        """Give a stage back without a failure, when this process ends before it is done."""
        async with transaction(self._pool) as connection:
            await self._archive.lock_study(connection, attempt.stage.study_id)
            count = (await self._failures(connection, attempt)) or 0
            item = await store.postpone_stage(connection, attempt, timedelta(0), count)
            await store.end_attempt(connection, attempt.attempt_id, "cancelled")
            if item is not None:
                await self._queue.finish(connection, job)
                await self._queue.enqueue(connection, [item])

    async def record_progress(self, attempt: Attempt, fraction: float, activity: str) -> None:
        """Keep how far an attempt has come.

        Raises:
            AttemptFencedError: Another attempt has taken over, or the stage was taken away.
        """
        async with transaction(self._pool) as connection:
            current = await connection.fetchval(
                store.QUERIES["record_progress"],
                attempt.stage.stage_id,
                attempt.attempt_id,
                fraction,
                activity,
            )
        if not current:
            raise AttemptFencedError(attempt.attempt_id)

    async def _locked_stage(self, connection: Connection, job: Job) -> Stage | None:
        study_id = await store.study_of_stage(connection, job.stage_id)
        if study_id is None or await self._archive.lock_study(connection, study_id) is None:
            return None
        stage = await store.stage_by_id(connection, job.stage_id)
        if stage is None or stage.turn != job.turn:
            return None
        return stage if stage.state in (StageState.PENDING, StageState.RUNNING) else None

    async def _held_as_lost(self, connection: Connection, job: Job, attempt: Attempt) -> bool:
        # The turn was lost with its worker: what kills workers must not go round for ever.
        count = attempt.stage.failure_count + 1
        decision = decide(LOST, count, self._policy, 0.5)
        if not isinstance(decision, Hold):
            return False
        await store.hold_stage(connection, attempt, decision, count)
        await store.end_attempt(connection, attempt.attempt_id, "failed", LOST.short_code)
        await self._queue.finish(connection, job)
        stage = attempt.stage
        await self._progression.advance(connection, stage.study_id, stage.generation)
        return True

    async def _mark_begun(self, connection: Connection, stage: Stage) -> None:
        if stage.kind is StageKind.PLAN:
            await self._archive.set_study_state(connection, stage.study_id, StudyState.PROCESSING)

    async def _write_plan(
        self, connection: Connection, stage: Stage, plan: bytes, specs: tuple[StageSpec, ...]
    ) -> None:
        study_id, generation = stage.study_id, stage.generation
        await connection.execute(store.QUERIES["insert_plan"], study_id, generation, plan)
        await store.change_states(
            connection,
            "supersede_settled",
            study_id,
            StageState.SUPERSEDED,
            study_id,
            generation,
        )
        await store.insert_stages(
            connection,
            study_id,
            generation,
            specs,
            priority=stage.priority,
            correlation_id=stage.correlation_id,
        )

    async def _settle_failure(
        self, connection: Connection, attempt: Attempt, decision: RetryLater | Hold, count: int
    ) -> None:
        if isinstance(decision, Hold):
            await store.hold_stage(connection, attempt, decision, count)
            return
        item = await store.postpone_stage(
            connection,
            attempt,
            timedelta(seconds=decision.delay_s),
            count,
            code=decision.code,
            text=decision.text,
        )
        await self._queue.enqueue(connection, [item] if item is not None else [])

    async def _failures(self, connection: Connection, attempt: Attempt) -> int | None:
        stage = await store.stage_by_id(connection, attempt.stage.stage_id)
        return None if stage is None else stage.failure_count

    async def _fence(self, job: Job, attempt: Attempt) -> NoReturn:
        async with transaction(self._pool) as connection:
            await store.end_attempt(connection, attempt.attempt_id, "fenced")
            stage = await store.stage_by_id(connection, job.stage_id)
            if stage is None or stage.turn != job.turn:
                await self._queue.finish(connection, job)
        raise AttemptFencedError(attempt.attempt_id)

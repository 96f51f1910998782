"""Takes jobs from the queue and has the work of their stages done."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from services.coordinator.workflow.attempts import AttemptBook
from services.coordinator.workflow.errors import AttemptFencedError
from services.coordinator.workflow.metrics import AttemptClock
from services.coordinator.workflow.patience import keep_going, persist
from services.coordinator.workflow.queue import Job, JobQueue
from services.coordinator.workflow.retry import Failure, Hold
from services.coordinator.workflow.runner import (
    Attempt,
    StageFailedError,
    StageResult,
    StageRunner,
)
from services.coordinator.workflow.stages import StageKind
from services.runtime import logs, telemetry
from services.runtime.correlation import set_correlation_id
from services.runtime.errors import DependencyUnavailableError

STAGE_ENDED: Final = "stage.ended"
STAGE_FAILED: Final = "stage.failed"
STAGE_FENCED: Final = "stage.fenced"
STAGE_FAULT: Final = "stage.fault"
PROGRESS_LOST: Final = "stage.progress_lost"
_TIDY_EVERY_S: Final = 600.0
_RELEASE_WITHIN_S: Final = 3.0

_LIMITS: Final = MappingProxyType(
    {
        StageKind.PLAN: 4,
        StageKind.DESCRIBE: 4,
        StageKind.CONVERT: 2,
        StageKind.ANALYZE: 2,
        StageKind.REPORT: 2,
        StageKind.DEIDENTIFY: 2,
    }
)


@dataclass(frozen=True, slots=True)
class DispatchRules:
    """How much is done at once.

    Attributes:
        slots: Stages this process runs at once.
        reserved_slots: Further ones for urgent work alone.
        limits: Most stages of a kind at once over all processes, urgent work counted apart.
        lease: How long a job is held without a sign of life.
        poll_s: Pause between looks into the queue when nothing wakes us, in seconds.
        progress_every_s: How often progress is kept and a fenced attempt noticed, in seconds.
    """

    slots: int = 6
    reserved_slots: int = 2
    limits: Mapping[StageKind, int] = field(default_factory=lambda: _LIMITS)
    lease: timedelta = timedelta(seconds=15)
    poll_s: float = 1.0
    progress_every_s: float = 1.0


class Dispatcher:
    """Runs stages until cancelled; then gives back what it holds.

    Args:
        queue: Gives out jobs.
        lifecycle: Keeps what becomes of stages.
        runner: Does the work.
        rules: How much is done at once.
    """

    def __init__(
        self,
        queue: JobQueue,
        lifecycle: AttemptBook,
        runner: StageRunner,
        rules: DispatchRules = DispatchRules(),
    ) -> None:
        self._queue = queue
        self._lifecycle = lifecycle
        self._runner = runner
        self._rules = rules
        self._wakeup = asyncio.Event()
        self._running: dict[int, tuple[Job, asyncio.Task[None]]] = {}
        # Jobs in one of the general slots; the others sit in reserved ones.
        self._general: set[int] = set()

    def wake(self) -> None:
        """Look into the queue at once."""
        self._wakeup.set()

    async def run(self) -> None:
        """Run stages until cancelled; while the database is away, try again."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(keep_going("dispatch", self._look))
                group.create_task(keep_going("lease", self._keep))
                group.create_task(keep_going("tidy", self._tidy))
        finally:
            tasks = [task for _, task in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        self._wakeup.clear()
        if await self._fill() == 0:
            # Not wait_for: before Python 3.12 it may swallow a cancel that comes with the wakeup.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rules.poll_s):
                    await self._wakeup.wait()

    async def _fill(self) -> int:
        """Start what there is room for and return how many jobs were begun."""
        begun = 0
        free = self._rules.slots - len(self._general)
        if free > 0:
            jobs = await self._queue.take(free, self._rules.limits, urgent_only=False)
            begun += self._start(jobs, general=True)
        reserved = self._rules.reserved_slots - (len(self._running) - len(self._general))
        if reserved > 0 and len(self._general) >= self._rules.slots:
            jobs = await self._queue.take(reserved, self._rules.limits, urgent_only=True)
            begun += self._start(jobs, general=False)
        return begun

    def _start(self, jobs: list[Job], *, general: bool) -> int:
        begun = 0
        for job in jobs:
            # A late sign of life lets the queue give us what we hold already.
            if job.job_id in self._running:
                continue
            if general:
                self._general.add(job.job_id)
            task = asyncio.create_task(self._handle(job))
            self._running[job.job_id] = (job, task)
            task.add_done_callback(functools.partial(self._forget, job.job_id))
            begun += 1
        return begun

    def _forget(self, job_id: int, _task: asyncio.Task[None]) -> None:
        self._running.pop(job_id, None)
        self._general.discard(job_id)
        self.wake()

    async def _handle(self, job: Job) -> None:
        try:
            attempt = await self._lifecycle.take(job)
        except Exception:
            # The job comes back after its lease.
            logs.get_logger().exception(STAGE_FAULT, stage_id=job.stage_id)
            return
        if attempt is None:
            return
        set_correlation_id(attempt.stage.correlation_id)
        clock = AttemptClock(attempt.stage)
        try:
            with telemetry.span("stage.attempt", _identity(attempt)):
                await self._attempt(job, attempt, clock)
        except AttemptFencedError:
            clock.end("fenced")
            self._log(STAGE_FENCED, attempt)
        except asyncio.CancelledError:
            clock.end("given_back")
            await self._release(job, attempt)
            raise
        except Exception:
            clock.end("fault")
            logs.get_logger().exception(STAGE_FAULT, stage_id=attempt.stage.stage_id)

    async def _attempt(self, job: Job, attempt: Attempt, clock: AttemptClock) -> None:
        try:
            result = await self._watched(attempt)
        except StageFailedError as error:
            await self._fail(job, attempt, error.failure, clock)
        except (AttemptFencedError, asyncio.CancelledError):
            raise
        except Exception:
            logs.get_logger().exception(STAGE_FAULT, stage_id=attempt.stage.stage_id)
            await self._fail(job, attempt, Failure("INTERNAL"), clock)
        else:
            await persist(lambda: self._lifecycle.finish(job, attempt, result))
            clock.end("refused" if result.refusal is not None else "done")
            self._log(STAGE_ENDED, attempt)

    async def _fail(
        self, job: Job, attempt: Attempt, failure: Failure, clock: AttemptClock
    ) -> None:
        async def fail() -> None:
            decision = await self._lifecycle.fail(job, attempt, failure)
            state = "held" if isinstance(decision, Hold) else "pending"
            clock.end("held" if isinstance(decision, Hold) else "retried")
            logs.get_logger().warning(
                STAGE_FAILED,
                stage_id=attempt.stage.stage_id,
                stage=attempt.stage.kind.value,
                attempt=attempt.number,
                code=failure.code,
                reason=failure.reason,
                state=state,
            )

        await persist(fail)

    async def _watched(self, attempt: Attempt) -> StageResult:
        """Have the work done; end it when the attempt is fenced."""
        latest: list[tuple[float, str]] = [(0.0, "")]

        def progress(fraction: float, activity: str) -> None:
            latest[0] = (max(fraction, latest[0][0]), activity)

        work = asyncio.create_task(self._runner.run(attempt, progress))
        try:
            while not (await asyncio.wait({work}, timeout=self._rules.progress_every_s))[0]:
                await self._record_progress(attempt, *latest[0])
            return await work
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _record_progress(self, attempt: Attempt, fraction: float, activity: str) -> None:
        try:
            await self._lifecycle.record_progress(attempt, fraction, activity)
        except (AttemptFencedError, asyncio.CancelledError):
            raise
        except DependencyUnavailableError:
            pass
        except Exception as error:
            # Work is not given up because its progress could not be written down.
            logs.get_logger().warning(PROGRESS_LOST, **logs.failure(error))

    async def _release(self, job: Job, attempt: Attempt) -> None:
        # What cannot be given back in time comes back after its lease.
        with suppress(TimeoutError, DependencyUnavailableError):
            async with asyncio.timeout(_RELEASE_WITHIN_S):
                await self._lifecycle.release(job, attempt)

    async def _keep(self) -> None:
        await self._queue.keep([job for job, _ in self._running.values()])
        await asyncio.sleep(self._rules.lease.total_seconds() / 4)

    async def _tidy(self) -> None:
        await self._queue.tidy()
        await asyncio.sleep(_TIDY_EVERY_S)

    def _log(self, event: str, attempt: Attempt) -> None:
        logs.get_logger().info(
            event,
            stage_id=attempt.stage.stage_id,
            stage=attempt.stage.kind.value,
            attempt=attempt.number,
            attempt_id=attempt.attempt_id,
        )


def _identity(attempt: Attempt) -> dict[str, str | int]:
    stage = attempt.stage
    return {
        "study_id": stage.study_id,
        "stage_id": stage.stage_id,
        "attempt_id": attempt.attempt_id,
        "stage": stage.kind.value,
        "attempt": attempt.number,
        "correlation_id": stage.correlation_id,
    }

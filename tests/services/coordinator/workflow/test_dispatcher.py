"""The dispatcher over a queue in memory, with a book and a runner that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from services.coordinator.workflow.dispatcher import Dispatcher, DispatchRules
from services.coordinator.workflow.errors import AttemptFencedError
from services.coordinator.workflow.queue import Job, QueueItem
from services.coordinator.workflow.retry import Failure, Hold
from services.coordinator.workflow.runner import (
    Attempt,
    ProgressSink,
    StageFailedError,
    StageResult,
)
from services.coordinator.workflow.stages import StageKind
from services.runtime.errors import DependencyUnavailableError
from services.runtime.ids import new_id
from tests.services.coordinator.workflow.made_up import stage
from tests.services.coordinator.workflow.memory_queue import MemoryQueue

RULES = DispatchRules(
    slots=2,
    reserved_slots=1,
    limits=dict.fromkeys(StageKind, 0),
    lease=timedelta(seconds=0.2),
    poll_s=0.02,
    progress_every_s=0.02,
)
Work = Callable[[Attempt, ProgressSink], Awaitable[StageResult]]


@dataclass
class Book:
    """Satisfies `AttemptBook`."""

    queue: MemoryQueue
    finished: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    progress: list[tuple[float, str]] = field(default_factory=list)
    fenced: bool = False
    away: int = 0

    async def take(self, job: Job) -> Attempt | None:
        return Attempt(new_id(), 1, stage(stage_id=job.stage_id))

    async def finish(self, job: Job, attempt: Attempt, result: StageResult) -> None:
        if self.away:
            self.away -= 1
            raise DependencyUnavailableError("postgres")
        self.finished.append(job.stage_id)
        await self.queue.finish(None, job)

    async def fail(self, job: Job, attempt: Attempt, failure: Failure) -> Hold:
        self.failures.append(failure)
        await self.queue.finish(None, job)
        return Hold("", "")

    async def release(self, job: Job, attempt: Attempt) -> None:
        self.released.append(job.stage_id)

    async def record_progress(self, attempt: Attempt, fraction: float, activity: str) -> None:
        if self.fenced:
            raise AttemptFencedError(attempt.attempt_id)
        self.progress.append((fraction, activity))


@dataclass
class Runner:
    """Satisfies `StageRunner`."""

    work: Work

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        return await self.work(attempt, progress)


async def _at_once(attempt: Attempt, progress: ProgressSink) -> StageResult:
    return StageResult()


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue()


@pytest.fixture
def book(queue: MemoryQueue) -> Book:
    return Book(queue)


async def _put(queue: MemoryQueue, count: int, *, urgent: bool = False) -> list[str]:
    ids = [new_id() for _ in range(count)]
    rank = 40 if urgent else 20
    items = [QueueItem(one, 1, StageKind.CONVERT, rank, urgent=urgent) for one in ids]
    await queue.enqueue(None, items)
    return ids


@asynccontextmanager
async def _running(queue: MemoryQueue, book: Book, work: Work) -> AsyncIterator[Dispatcher]:
    dispatcher = Dispatcher(queue, book, Runner(work), RULES)
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_all_work_is_done_in_order_of_rank(queue: MemoryQueue, book: Book) -> None:
    routine = await _put(queue, 3)
    urgent = await _put(queue, 2, urgent=True)

    async with _running(queue, book, _at_once):
        await _until(lambda: len(book.finished) == 5)

    assert set(book.finished[:2]) == set(urgent)
    assert book.finished[2:] == routine


async def test_urgent_work_finds_a_slot_while_routine_work_takes_the_others(
    queue: MemoryQueue, book: Book
) -> None:
    forever = asyncio.Event()
    started: list[str] = []

    async def work(attempt: Attempt, progress: ProgressSink) -> StageResult:
        started.append(attempt.stage.stage_id)
        if attempt.stage.stage_id not in urgent:
            await forever.wait()
        return StageResult()

    urgent: list[str] = []
    await _put(queue, 10)
    async with _running(queue, book, work) as dispatcher:
        await _until(lambda: len(started) == 2)
        urgent += await _put(queue, 1, urgent=True)
        dispatcher.wake()
        await _until(lambda: book.finished == urgent)

    assert len(started) == 3


async def test_what_is_still_running_is_given_back_at_the_end(
    queue: MemoryQueue, book: Book
) -> None:
    (only,) = await _put(queue, 1)
    begun = asyncio.Event()

    async def work(attempt: Attempt, progress: ProgressSink) -> StageResult:
        begun.set()
        await asyncio.sleep(3600)
        return StageResult()

    async with _running(queue, book, work):
        await asyncio.wait_for(begun.wait(), 5)

    assert book.released == [only]
    assert not book.failures


async def test_a_job_that_comes_again_while_it_runs_is_not_begun_twice(
    queue: MemoryQueue, book: Book
) -> None:
    await _put(queue, 1)
    go_on = asyncio.Event()
    begun = 0

    async def work(attempt: Attempt, progress: ProgressSink) -> StageResult:
        nonlocal begun
        begun += 1
        await go_on.wait()
        return StageResult()

    async with _running(queue, book, work) as dispatcher:
        await _until(lambda: begun == 1)
        queue.expire()
        dispatcher.wake()
        await asyncio.sleep(0.1)
        go_on.set()
        await _until(lambda: len(book.finished) == 1)

    assert begun == 1


async def test_work_is_ended_once_its_attempt_is_fenced(queue: MemoryQueue, book: Book) -> None:
    await _put(queue, 1)
    ended = asyncio.Event()
    book.fenced = True

    async def work(attempt: Attempt, progress: ProgressSink) -> StageResult:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return StageResult()

    async with _running(queue, book, work):
        await asyncio.wait_for(ended.wait(), 5)

    assert not book.finished
    assert not book.failures


async def test_an_outcome_is_kept_once_the_database_is_back(queue: MemoryQueue, book: Book) -> None:
    ids = await _put(queue, 1)
    book.away = 2

    async with _running(queue, book, _at_once):
        await _until(lambda: book.finished == ids)

    assert book.away == 0


async def test_failures_of_calls_and_of_our_own_are_told_apart(
    queue: MemoryQueue, book: Book
) -> None:
    await _put(queue, 2)

    async def work(attempt: Attempt, progress: ProgressSink) -> StageResult:
        if not book.failures:
            raise StageFailedError(Failure("UNAVAILABLE", "ERROR_REASON_MODEL_UNAVAILABLE"))
        raise KeyError("a fault of our own")

    async with _running(queue, book, work):
        await _until(lambda: len(book.failures) == 2)

    assert {failure.code for failure in book.failures} <= {"UNAVAILABLE", "INTERNAL"}
    assert book.failures[0].short_code == "MODEL_UNAVAILABLE"


async def test_progress_is_kept_and_never_goes_back(queue: MemoryQueue, book: Book) -> None:
    await _put(queue, 1)

    async def work(attempt: Attempt, progress: ProgressSink) -> StageResult:
        progress(0.6, "Measuring")
        progress(0.2, "Drawing")
        await asyncio.sleep(0.1)
        return StageResult()

    async with _running(queue, book, work):
        await _until(lambda: len(book.finished) == 1)

    assert set(book.progress) == {(0.6, "Drawing")}


async def test_leases_of_running_work_are_renewed(queue: MemoryQueue, book: Book) -> None:
    await _put(queue, 1)

    async def work(attempt: Attempt, progress: ProgressSink) -> StageResult:
        await asyncio.sleep(0.3)
        return StageResult()

    async with _running(queue, book, work):
        await _until(lambda: len(book.finished) == 1)

    assert queue.kept[1] >= 3

"""Blocking work in a thread whose results arrive in the event loop one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")
_WAITING: Final = 64
_LONGEST_END_S: Final = 15.0
_POLL_S: Final = 0.2


class AbandonedError(Exception):
    """Nobody waits for results any more; the work should end."""


class Outlet(Generic[_T]):
    """Where blocking work puts its results. Used by one thread.

    Args:
        put: Takes a result without waiting.
    """

    def __init__(self, put: Callable[[_T], None]) -> None:
        self._put = put
        self._room = threading.Semaphore(_WAITING)
        self._abandoned = threading.Event()
        self._stop: Callable[[], None] | None = None
        self._lock = threading.Lock()

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits any more."""
        return self._abandoned.is_set()

    def put(self, result: _T) -> None:
        """Hand a result over; waits while many are not taken yet.

        Raises:
            AbandonedError: Nobody waits any more.
        """
        while not self._room.acquire(timeout=_POLL_S):
            self.check()
        self.check()
        self._put(result)

    def check(self) -> None:
        """Go on only while somebody waits.

        Raises:
            AbandonedError: Nobody waits any more.
        """
        if self.is_abandoned:
            raise AbandonedError

    def when_abandoned(self, stop: Callable[[], None]) -> None:
        """Name what ends a blocking call at once, called from another thread."""
        with self._lock:
            self._stop = stop
        if self.is_abandoned:
            stop()

    def taken(self) -> None:
        """Note that a result was taken."""
        self._room.release()

    def abandon(self) -> None:
        """Tell the work that nobody waits any more."""
        self._abandoned.set()
        with self._lock:
            stop = self._stop
        if stop is not None:
            stop()


async def results(
    executor: Executor, work: Callable[[Outlet[_T]], None]
) -> AsyncGenerator[_T, None]:
    """Run work in a thread and yield what it puts; what it raises is raised.

    When the iteration is given up the work is told, and waited for a while.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[_T | None] = asyncio.Queue()
    outlet: Outlet[_T] = Outlet(lambda item: _soon(loop, queue, item))

    def run() -> None:
        try:
            work(outlet)
        finally:
            _soon(loop, queue, None)

    running = loop.run_in_executor(executor, run)
    try:
        while (item := await queue.get()) is not None:
            outlet.taken()
            yield item
        await running
    finally:
        if not running.done():
            outlet.abandon()
            await asyncio.wait([running], timeout=_LONGEST_END_S)
        if running.done() and not running.cancelled():
            # Looked at, so that nothing is said of an error that nobody waits for.
            running.exception()


async def result(executor: Executor, work: Callable[[Outlet[_T]], None]) -> _T:
    """Run work that puts one result, and return it."""
    found: list[_T] = [item async for item in results(executor, work)]
    return found[-1]


def _soon(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[_T], item: _T) -> None:
    # The loop may have ended first, at the end of the process.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(queue.put_nowait, item)

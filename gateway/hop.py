"""Blocking work in a thread, for the event loop: seen to its end, at half of an executor's cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Generic, TypeVar, cast

_T = TypeVar("_T")


class Hop(Generic[_T]):
    """One piece of work, begun at once.

    ``run_in_executor`` chains a future of the thread's to one of the loop's, and needs a third to
    shield it; here the thread wakes the loop itself.

    Args:
        executor: Threads that work.
        work: What is done; its error is raised by `end`.
    """

    __slots__ = ("_error", "_loop", "_over", "_result", "_waiter")

    def __init__(self, executor: Executor, work: Callable[[], _T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] = self._loop.create_future()
        self._over = False
        self._result: _T | None = None
        self._error: BaseException | None = None
        executor.submit(self._work, work)

    async def end(self) -> _T:
        """Return what the work returns.

        A caller that is cancelled waits for the thread all the same: what the work uses must not
        be pulled away from under it.
        """
        cancelled: asyncio.CancelledError | None = None
        while not self._over:
            try:
                await self._waiter
            except asyncio.CancelledError as error:
                cancelled = error
                self._waiter = self._loop.create_future()
        if cancelled is not None:
            raise cancelled
        if self._error is not None:
            failure, self._error = self._error, None
            raise failure
        return cast("_T", self._result)

    def _work(self, work: Callable[[], _T]) -> None:
        try:
            self._result = work()
        except BaseException as error:
            self._error = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._over = True
        if not self._waiter.done():
            self._waiter.set_result(None)

"""Reads new events once and hands them to every watcher of this process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

import asyncpg

from services.coordinator.events.event import LoggedEvent
from services.coordinator.events.log import Position
from services.coordinator.events.wakeups import wait_for
from services.runtime import logs
from services.runtime.errors import DependencyUnavailableError, LimitExceededError

HUB_FAILED: Final = "events.hub_failed"
END: Final = (1 << 63) - 1
_BATCH: Final = 1000
_POLL_S: Final = 0.5
_RETRY_S: Final = 1.0
_PATIENCE_S: Final = 2.0


class ReadableLog(Protocol):
    """The log as watchers need it."""

    async def position(self) -> Position:
        """See ``EventLog``."""
        ...

    async def after(
        self, cursor: int, last: int, limit: int, study_id: str = ""
    ) -> list[LoggedEvent]:
        """See ``EventLog``."""
        ...


class Watcher:
    """What one watcher has not taken yet, bounded.

    Attributes:
        seen: Cursor up to which everything was offered.
        overflowed: Whether something was dropped because the watcher is too slow.
    """

    def __init__(self, study_id: str, seen: int, capacity: int) -> None:
        self.seen = seen
        self.overflowed = False
        self._study_id = study_id
        self._capacity = capacity
        self._events: deque[LoggedEvent] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def offer(self, events: list[LoggedEvent]) -> None:
        """Take new events."""
        self.seen = events[-1].cursor
        if self.overflowed:
            return
        wanted = (e for e in events if not self._study_id or e.draft.study_id == self._study_id)
        self._events.extend(wanted)
        if len(self._events) > self._capacity:
            self.overflowed = True
            self._events.clear()
        if self._events or self.overflowed:
            self._changed.set()

    def restart(self) -> int:
        """Forget an overflow; returns the cursor after which events are offered again."""
        self.overflowed = False
        self._events.clear()
        self._changed.clear()
        return self.seen

    def close(self) -> None:
        """End the watcher: the process stops."""
        self._closed = True
        self._changed.set()

    async def next(self, longest_s: float) -> LoggedEvent | None:
        """Return the next event, or None when there is none for that long.

        Raises:
            LimitExceededError: Events were dropped because the watcher is too slow.
            DependencyUnavailableError: The process stops.
        """
        if not self._events:
            with suppress(TimeoutError):
                async with asyncio.timeout(longest_s):
                    await self._changed.wait()
        if self._closed:
            raise DependencyUnavailableError("coordinator")
        if self.overflowed:
            raise LimitExceededError("watch_buffer")
        event = self._events.popleft() if self._events else None
        if not self._events:
            self._changed.clear()
        return event


class EventHub:
    """Follows the end of the log for all watchers.

    Args:
        log: The log.
        wakeup: Set when the log has something new.
        capacity: Most events that wait for one watcher.
    """

    def __init__(self, log: ReadableLog, wakeup: asyncio.Event, capacity: int = 10_000) -> None:
        self._log = log
        self._wakeup = wakeup
        self._capacity = capacity
        self._watchers: set[Watcher] = set()
        self._tail = 0
        self._reached = asyncio.Event()

    @asynccontextmanager
    async def subscribe(self, study_id: str = "") -> AsyncIterator[Watcher]:
        """Offer events from now on to a watcher.

        Raises:
            DependencyUnavailableError: The log was not reached yet.
        """
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._reached.wait()
        except TimeoutError:
            raise DependencyUnavailableError("postgres") from None
        watcher = Watcher(study_id, self._tail, self._capacity)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def run(self) -> None:
        """Follow the log for ever; the database may come and go."""
        while True:
            try:
                await self._follow()
            except (DependencyUnavailableError, asyncpg.PostgresError) as error:
                logs.get_logger().warning(HUB_FAILED, **logs.failure(error))
                await asyncio.sleep(_RETRY_S)
            await wait_for(self._wakeup, _POLL_S)

    async def close_when(self, draining: asyncio.Event) -> None:
        """End every watcher once the server begins to stop."""
        await draining.wait()
        while True:
            for watcher in self._watchers:
                watcher.close()
            await asyncio.sleep(0.1)

    async def _follow(self) -> None:
        if not self._reached.is_set():
            self._tail = (await self._log.position()).last_cursor
            self._reached.set()
        while events := await self._log.after(self._tail, END, _BATCH):
            self._tail = events[-1].cursor
            for watcher in self._watchers:
                watcher.offer(events)
            if len(events) < _BATCH:
                break
            # Watchers get a turn, or a burst would overflow all of them.
            await asyncio.sleep(0)

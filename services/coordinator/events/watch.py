"""One watch of the log: first what happened since the cursor, then what happens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from services.coordinator.events.errors import CursorExpiredError
from services.coordinator.events.event import LoggedEvent
from services.coordinator.events.hub import EventHub, ReadableLog, Watcher
from services.runtime.errors import InvalidFieldError

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened; a watcher may resume from here."""

    cursor: int


@dataclass(frozen=True, slots=True)
class Watch:
    """What one caller wants to see.

    Attributes:
        cursor: Cursor of the last event seen; 0 for the oldest one kept, None for what comes.
        study_id: Only events of this study, when not empty.
        heartbeat_s: Longest silence, in seconds.
    """

    cursor: int | None
    study_id: str
    heartbeat_s: float

    async def events(
        self, hub: EventHub, log: ReadableLog
    ) -> AsyncGenerator[LoggedEvent | Heartbeat, None]:
        """Yield events in order, without end.

        Raises:
            CursorExpiredError: Events after the cursor were removed.
            InvalidFieldError: The cursor was never given.
            LimitExceededError: The caller is too slow.
            DependencyUnavailableError: The log cannot be reached, or the process stops.
        """
        async with hub.subscribe(self.study_id) as watcher:
            cursor = await self._begin(log)
            if self.cursor is None:
                yield Heartbeat(cursor)
            else:
                async for event in self._history(log, watcher, cursor):
                    cursor = event.cursor
                    yield event
            while True:
                next_event = await watcher.next(self.heartbeat_s)
                if next_event is None:
                    cursor = max(cursor, watcher.seen)
                    yield Heartbeat(cursor)
                elif next_event.cursor > cursor:
                    cursor = next_event.cursor
                    yield next_event

    async def _begin(self, log: ReadableLog) -> int:
        position = await log.position()
        if self.cursor is None:
            return position.last_cursor
        if self.cursor > position.last_cursor:
            raise InvalidFieldError("cursor", "one that was given")
        if self.cursor == 0:
            return position.expired_cursor
        _check_kept(self.cursor, position.expired_cursor)
        return self.cursor

    async def _history(
        self, log: ReadableLog, watcher: Watcher, cursor: int
    ) -> AsyncGenerator[LoggedEvent, None]:
        last = watcher.seen
        while True:
            while cursor < last:
                page = await log.after(cursor, last, _PAGE, self.study_id)
                # Read after the page: whatever expired before it is seen here.
                _check_kept(cursor, (await log.position()).expired_cursor)
                for event in page:
                    yield event
                cursor = page[-1].cursor if len(page) == _PAGE else last
            if not watcher.overflowed:
                return
            last = watcher.restart()


def _check_kept(cursor: int, expired_cursor: int) -> None:
    if cursor < expired_cursor:
        raise CursorExpiredError(expired_cursor + 1)

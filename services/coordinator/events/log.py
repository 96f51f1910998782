"""The log of committed events, in the order of their cursors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import asyncpg

from services.coordinator.events.event import EventDraft, EventType, LoggedEvent
from services.runtime.postgres import Pool, connection, transaction
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.events")


@dataclass(frozen=True, slots=True)
class Position:
    """How far the log goes.

    Attributes:
        last_cursor: Cursor of the latest event; 0 before the first.
        expired_cursor: Cursor of the latest event that was removed; 0 before the first.
    """

    last_cursor: int
    expired_cursor: int


class EventLog:
    """Reads the log, and moves events from the outbox into it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def position(self) -> Position:
        """Return how far the log goes."""
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(_QUERIES["position"])
        return Position(*row) if row is not None else Position(0, 0)

    async def after(
        self, cursor: int, last: int, limit: int, study_id: str = ""
    ) -> list[LoggedEvent]:
        """Return events after a cursor in order.

        Args:
            cursor: Cursor of the event before the first one wanted.
            last: Cursor of the last one wanted.
            limit: At most this many.
            study_id: Only events of this study, when not empty.
        """
        async with connection(self._pool) as borrowed:
            if study_id:
                rows = await borrowed.fetch(
                    _QUERIES["study_events_after"], cursor, last, limit, study_id
                )
            else:
                rows = await borrowed.fetch(_QUERIES["events_after"], cursor, last, limit)
        return [_event_from_row(row) for row in rows]

    async def relay(self, limit: int) -> int:
        """Give waiting events their cursors; how many, none while another relay is at work."""
        async with transaction(self._pool) as borrowed:
            if not await borrowed.fetchval(_QUERIES["try_relay"]):
                return 0
            return int(await borrowed.fetchval(_QUERIES["relay"], limit) or 0)

    async def expire(self, retention: timedelta, limit: int) -> int:
        """Remove the oldest events when they are older than the retention; how many."""
        async with transaction(self._pool) as borrowed:
            if not await borrowed.fetchval(_QUERIES["try_relay"]):
                return 0
            return int(await borrowed.fetchval(_QUERIES["expire"], retention, limit) or 0)


def _event_from_row(row: asyncpg.Record) -> LoggedEvent:
    return LoggedEvent(
        cursor=row["cursor"],
        occur_time=row["occur_time"],
        draft=EventDraft(
            type=EventType(row["type"]),
            study_id=str(row["study_id"]),
            series_id=str(row["series_id"]) if row["series_id"] else None,
            stage_id=str(row["stage_id"]) if row["stage_id"] else None,
            stage_name=row["stage_name"],
            state=row["state"],
            generation=row["generation"],
            correlation_id=row["correlation_id"],
        ),
    )

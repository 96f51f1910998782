"""Events are written in the transaction of whoever causes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.coordinator.events.event import EventDraft, EventType
from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

__all__ = ["EventDraft", "EventType", "append_event", "append_events"]

_QUERIES: Final = load_queries("services.coordinator.events")


async def append_event(connection: Connection, draft: EventDraft) -> None:
    """Write one event; it happens when the caller's transaction commits."""
    await append_events(connection, [draft])


async def append_events(connection: Connection, drafts: Sequence[EventDraft]) -> None:
    """Write events in order; they happen when the caller's transaction commits."""
    if not drafts:
        return
    columns = [
        [draft.type.value for draft in drafts],
        [draft.study_id for draft in drafts],
        [draft.series_id for draft in drafts],
        [draft.stage_id for draft in drafts],
        [draft.stage_name for draft in drafts],
        [draft.state for draft in drafts],
        [draft.generation for draft in drafts],
        [draft.correlation_id for draft in drafts],
    ]
    await connection.execute(_QUERIES["append_events"], *columns)

"""Events as messages."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from heimdallr.events.v1 import events_service_pb2 as pb
from services.coordinator.events.event import LoggedEvent
from services.coordinator.events.watch import Heartbeat
from services.runtime.errors import InvalidFieldError

_CURSOR: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def cursor_from_proto(text: str) -> int | None:
    """Return a cursor; None for the end of the log.

    Raises:
        InvalidFieldError: Not a cursor.
    """
    if not text:
        return None
    if not _CURSOR.fullmatch(text):
        raise InvalidFieldError("cursor", "one that was given, 0 or empty")
    return int(text)


def to_response(item: LoggedEvent | Heartbeat) -> pb.WatchEventsResponse:
    """Return an event or a heartbeat as it goes on the wire; not to be changed."""
    if isinstance(item, Heartbeat):
        return pb.WatchEventsResponse(cursor=str(item.cursor))
    return _event_response(item)


# A thousand watchers are told the same: the message is made once.
@lru_cache(maxsize=1024)
def _event_response(event: LoggedEvent) -> pb.WatchEventsResponse:
    draft = event.draft
    message = pb.Event(
        type=pb.EventType.Value(f"EVENT_TYPE_{draft.type.value}"),
        study_id=draft.study_id,
        series_id=draft.series_id or "",
        stage_id=draft.stage_id or "",
        state=draft.state,
        generation=draft.generation,
        correlation_id=draft.correlation_id,
        stage_name=draft.stage_name,
    )
    message.occur_time.FromDatetime(event.occur_time)
    return pb.WatchEventsResponse(cursor=str(event.cursor), event=message)

"""gRPC adapter of the event log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from heimdallr.events.v1 import events_service_pb2 as pb
from heimdallr.events.v1 import events_service_pb2_grpc as pb_grpc
from services.coordinator.events.hub import EventHub, ReadableLog
from services.coordinator.events.messages import cursor_from_proto, to_response
from services.coordinator.events.watch import Watch
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

Context = grpc.aio.ServicerContext[pb.WatchEventsRequest, pb.WatchEventsResponse]


class EventsService(pb_grpc.EventsServiceServicer):
    """Serves ``heimdallr.events.v1.EventsService``."""

    def __init__(self, hub: EventHub, log: ReadableLog, *, heartbeat_s: float = 15.0) -> None:
        self._hub = hub
        self._log = log
        self._heartbeat_s = heartbeat_s

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        """See ``events_service.proto``."""
        if request.study_id and not is_id(request.study_id):
            raise InvalidFieldError("study_id", "one of our ids, or empty")
        cursor = cursor_from_proto(request.cursor)
        watch = Watch(cursor, request.study_id, self._heartbeat_s)
        async with aclosing(watch.events(self._hub, self._log)) as events:
            async for event in events:
                yield to_response(event)

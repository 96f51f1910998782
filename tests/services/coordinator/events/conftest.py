"""A running event log over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.events.v1 import events_service_pb2 as pb
from heimdallr.events.v1 import events_service_pb2_grpc as pb_grpc
from services.coordinator.events.hub import EventHub
from services.coordinator.events.log import EventLog
from services.coordinator.events.outbox import EventDraft, EventType, append_events
from services.coordinator.events.relay import Relay
from services.coordinator.events.service import EventsService
from services.coordinator.events.wakeups import Wakeups
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, open_pool, transaction
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

STUDY = new_id()


@dataclass(slots=True)
class Events:
    """An event log under test."""

    server: RunningServer
    pool: Pool
    log: EventLog
    hub: EventHub

    def stub(self) -> pb_grpc.EventsServiceAsyncStub:
        """Return a stub on a channel of its own."""
        return pb_grpc.EventsServiceStub(self.server.channel(Permission.PERMISSION_EVENTS_READ))

    async def write(self, *states: str, study_id: str = STUDY) -> None:
        """Write events in one transaction; the state tells them apart."""
        drafts = [EventDraft(EventType.STUDY_GREW, study_id, state=state) for state in states]
        async with transaction(self.pool) as connection:
            await append_events(connection, drafts)

    async def settled(self) -> int:
        """Wait until every event has its cursor; returns the last one."""
        async with asyncio.timeout(10):
            while await self._waiting():  # noqa: ASYNC110 - the other side is a database
                await asyncio.sleep(0.01)
        return (await self.log.position()).last_cursor

    async def _waiting(self) -> int:
        query = "SELECT count(*) FROM events.event WHERE cursor IS NULL"
        return int(await self.pool.fetchval(query))


@asynccontextmanager
async def running_events(
    folder: Path, dsn: str, *, capacity: int = 10_000, heartbeat_s: float = 15.0
) -> AsyncIterator[Events]:
    """Run what one coordinator process runs of the events."""
    async with AsyncExitStack() as stack:
        opened = await open_pool(dsn, application_name="test", max_size=8, patience_s=5)
        stack.push_async_callback(opened.close)
        log, wakeups = EventLog(opened), Wakeups(opened)
        hub = EventHub(log, wakeups.log, capacity)
        relay = Relay(log, wakeups.outbox, timedelta(days=7))
        tasks = [asyncio.create_task(one.run()) for one in (wakeups, relay, hub)]

        async def stop() -> None:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        stack.push_async_callback(stop)
        service = EventsService(hub, log, heartbeat_s=heartbeat_s)
        folder.mkdir(exist_ok=True)
        server = await stack.enter_async_context(
            running_server(
                folder,
                lambda server: pb_grpc.add_EventsServiceServicer_to_server(service, server),
                max_concurrent_calls=2048,
            )
        )
        yield Events(server, opened, log, hub)


@pytest.fixture
async def migrated(pool: Pool, postgres_dsn: str) -> str:
    await apply(pool, ["services.coordinator.events"])
    return postgres_dsn


@pytest.fixture
async def events(migrated: str, tmp_path: Path) -> AsyncIterator[Events]:
    async with running_events(tmp_path, migrated) as running:
        yield running


async def take(
    stub: pb_grpc.EventsServiceAsyncStub, cursor: str, count: int, study_id: str = ""
) -> list[pb.WatchEventsResponse]:
    """Return the first events of a watch, heartbeats left out."""
    call = stub.WatchEvents(pb.WatchEventsRequest(cursor=cursor, study_id=study_id))
    found: list[pb.WatchEventsResponse] = []
    async with asyncio.timeout(30):
        async for response in call:
            if response.HasField("event"):
                found.append(response)
            if len(found) == count:
                break
    call.cancel()
    return found

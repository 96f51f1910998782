"""The queue over PgQueuer.

Its own consumer loop is not used: it deletes a job when its task is cancelled, and ends a job
outside of the transaction that ends the stage. Dequeue, heartbeat and removal are PgQueuer's.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, cast

import asyncpg
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel, JobId, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from services.coordinator.workflow.queue import Job, QueueItem
from services.coordinator.workflow.stages import StageKind
from services.runtime.postgres import Connection, Pool, connection
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.workflow")
_SETTINGS: Final = DBSettings(
    db_schema="workflow", channel=Channel("workflow_queue"), durability=Durability.balanced
)
_URGENT: Final = ".urgent"
_KEEP_LOG: Final = timedelta(hours=1)


class PgQueuerQueue:
    """Satisfies `JobQueue`.

    Args:
        pool: Pool of the database the stages lie in.
        lease: How long a job is held without a sign of life; then it is given out again.
    """

    def __init__(self, pool: Pool, lease: timedelta = timedelta(seconds=15)) -> None:
        self._pool = pool
        self._lease = lease
        self._taker = QueueManagerId(uuid.uuid4())
        self._builder = QueryQueueBuilder(settings=_SETTINGS)
        self._environment = QueryBuilderEnvironment(settings=_SETTINGS)

    async def enqueue(self, connection: Connection, items: Sequence[QueueItem]) -> None:
        """See `JobQueue`."""
        if not items:
            return
        await self._queries(_driver(connection)).enqueue(
            [_entrypoint(item.kind, urgent=item.urgent) for item in items],
            [_payload(item) for item in items],
            [item.rank for item in items],
            [item.delay for item in items],
            [_payload(item).decode("ascii") for item in items],
            on_conflict="skip",
        )

    async def finish(self, connection: Connection, job: Job) -> None:
        """See `JobQueue`."""
        driver = _driver(connection)
        statement = self._builder.build_log_job_query()
        await driver.execute(statement, [JobId(job.job_id)], ["successful"], [None])

    async def take(
        self, count: int, limits: Mapping[StageKind, int], *, urgent_only: bool
    ) -> list[Job]:
        """See `JobQueue`."""
        lanes = (True,) if urgent_only else (True, False)
        entrypoints = {
            QueueEntrypoint(_entrypoint(kind, urgent=urgent)): EntrypointExecutionParameter(limit)
            for urgent in lanes
            for kind, limit in limits.items()
        }
        async with connection(self._pool) as borrowed:
            found = await self._queries(_driver(borrowed)).dequeue(
                batch_size=count,
                entrypoints=entrypoints,
                queue_manager_id=self._taker,
                global_concurrency_limit=None,
                heartbeat_timeout=self._lease,
            )
        return [_job(one) for one in found]

    async def keep(self, jobs: Sequence[Job]) -> None:
        """See `JobQueue`."""
        if jobs:
            async with connection(self._pool) as borrowed:
                statement = self._builder.build_update_heartbeat_query()
                await borrowed.execute(statement, [job.job_id for job in jobs])

    async def tidy(self) -> None:
        """See `JobQueue`."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(_QUERIES["tidy_queue_log"], _KEEP_LOG)

    def _queries(self, driver: Any) -> Queries:
        return Queries(driver, qbe=self._environment, qbq=self._builder)


def _driver(connection: Connection) -> AsyncpgDriver:
    # A pooled connection has every method of a connection; PgQueuer's types do not say so.
    return AsyncpgDriver(cast("asyncpg.Connection[asyncpg.Record]", connection))


def _entrypoint(kind: StageKind, *, urgent: bool) -> str:
    return f"{kind}{_URGENT}" if urgent else str(kind)


def _payload(item: QueueItem) -> bytes:
    return f"{item.stage_id}:{item.turn}".encode("ascii")


def _job(found: Any) -> Job:
    stage_id, _, turn = found.payload.decode("ascii").partition(":")
    return Job(int(found.id), stage_id, int(turn), found.entrypoint.endswith(_URGENT))

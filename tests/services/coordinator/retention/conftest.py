"""Retention over a real database with every table of the coordinator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.retention.v1 import retention_service_pb2_grpc as pb_grpc
from services.coordinator.archive.arrival import Arrival
from services.coordinator.archive.indexer import Indexer
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.retention.deletions import Deletions
from services.coordinator.retention.service import RetentionService
from services.coordinator.retention.store import RetentionStore
from services.runtime.ids import new_id
from services.runtime.postgres import Pool, transaction
from tests.support.coordinator_database import coordinator_pool, coordinator_template
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import postgres_server_dsn

__all__ = ["coordinator_pool", "coordinator_template", "postgres_server_dsn"]


@dataclass(slots=True)
class Retention:
    """Retention under test."""

    stub: pb_grpc.RetentionServiceAsyncStub
    store: RetentionStore
    deletions: Deletions
    pool: Pool
    server: RunningServer

    async def receive(self, *arrivals: Arrival, state: str = "ready") -> str:
        """Index instances of one study, put it into a state and return our id of it."""
        async with transaction(self.pool) as connection:
            indexed = await Indexer().index(connection, arrivals)
            study_id = indexed[0].held.study_id
            await connection.execute(
                "UPDATE archive.study SET state = $2 WHERE study_id = $1", study_id, state
            )
        return study_id

    async def add_stage(self, study_id: str, state: str = "done", sha256: str = "0" * 64) -> None:
        """Add a stage with an attempt and a file of its result."""
        stage_id = new_id()
        await self.pool.execute(
            "INSERT INTO workflow.stage (stage_id, study_id, generation, name, state)"
            " VALUES ($1, $2, 1, 'report', $3)",
            stage_id,
            study_id,
            state,
        )
        await self.pool.execute(
            "INSERT INTO workflow.attempt (attempt_id, stage_id, number, worker)"
            " VALUES ($1, $2, 1, 'w')",
            new_id(),
            stage_id,
        )
        await self.pool.execute(
            "INSERT INTO workflow.result_blob (study_id, sha256, stage_id, size_bytes, media_type)"
            " VALUES ($1, $2, $3, 100, 'application/pdf')",
            study_id,
            sha256,
            stage_id,
        )

    async def age(self, study_id: str, days: int) -> None:
        """Let a study have come that many days ago."""
        await self.pool.execute(
            "UPDATE archive.study SET last_receive_time = now() - make_interval(days => $2)"
            " WHERE study_id = $1",
            study_id,
            days,
        )

    async def rows(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database."""
        return await self.pool.fetch(statement, *values)


@pytest.fixture
async def retention(coordinator_pool: Pool, tmp_path: Path) -> AsyncIterator[Retention]:
    pool = coordinator_pool
    archive = ArchiveStore(pool)
    store, deletions = RetentionStore(pool, archive), Deletions(pool, archive)
    service = RetentionService(store, deletions)
    async with running_server(
        tmp_path,
        lambda server: pb_grpc.add_RetentionServiceServicer_to_server(service, server),
    ) as server:
        channel = server.channel(
            Permission.PERMISSION_ARCHIVE_READ, Permission.PERMISSION_ARCHIVE_ADMIN
        )
        stub = pb_grpc.RetentionServiceStub(channel)
        yield Retention(stub, store, deletions, pool, server)

"""A running archive over a real database and a real blob store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.coordinator.archive.arrival import Arrival, Indexed
from services.coordinator.archive.indexer import Indexer
from services.coordinator.archive.service import ArchiveService
from services.coordinator.archive.store import ArchiveStore
from services.runtime.blob_ref import BlobRef
from services.runtime.local_blobs import LocalBlobs
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, transaction
from tests.support.mesh import running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]


@dataclass(slots=True)
class Results:
    """Blobs of results, by study and hash."""

    blobs: dict[tuple[str, str], BlobRef] = field(default_factory=dict)

    async def results_blob_belongs(self, study_id: str, sha256: str) -> BlobRef | None:
        return self.blobs.get((study_id, sha256))


@dataclass(slots=True)
class Archive:
    """An archive under test."""

    stub: pb_grpc.ArchiveServiceAsyncStub
    store: ArchiveStore
    pool: Pool
    blobs: LocalBlobs
    results: Results

    async def add(self, *arrivals: Arrival) -> list[Indexed]:
        """Index instances in one transaction."""
        async with transaction(self.pool) as connection:
            return await Indexer().index(connection, arrivals)


@pytest.fixture
async def archive(pool: Pool, tmp_path: Path) -> AsyncIterator[Archive]:
    await apply(pool, ["services.coordinator.archive", "services.coordinator.events"])
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    results = Results()
    store = ArchiveStore(pool)
    service = ArchiveService(store, blobs, results)
    async with running_server(
        tmp_path,
        lambda server: pb_grpc.add_ArchiveServiceServicer_to_server(service, server),
    ) as server:
        stub = pb_grpc.ArchiveServiceStub(server.channel(Permission.PERMISSION_ARCHIVE_READ))
        yield Archive(stub, store, pool, blobs, results)

"""A blob store and every table of the coordinator, and what looks after them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from services.coordinator.archive.indexer import Indexer, IndexRaceError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.storage.collector import Collector
from services.coordinator.storage.rounds import Collection
from services.coordinator.storage.store import StorageStore
from services.runtime.blob_inventory import BlobInventory, inventory_of
from services.runtime.blob_ref import BlobRef
from services.runtime.ids import new_id
from services.runtime.local_blobs import LocalBlobs
from services.runtime.postgres import Pool, transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.support.coordinator_database import coordinator_pool, coordinator_template
from tests.support.postgres import postgres_server_dsn

__all__ = ["coordinator_pool", "coordinator_template", "postgres_server_dsn"]

GRACE: Final = timedelta(hours=24)
DAY_S: Final = 86_400.0
DICOM: Final = "application/dicom"


@dataclass(slots=True)
class Yard:
    """What is stored and what is named.

    Attributes:
        ahead_s: How far the collector's clock is ahead, in seconds.
    """

    pool: Pool
    blobs: LocalBlobs
    inventory: BlobInventory
    store: StorageStore
    ahead_s: float = 0.0

    @property
    def archive(self) -> ArchiveStore:
        """Locks studies."""
        return ArchiveStore(self.pool)

    def collector(
        self,
        inventory: BlobInventory | None = None,
        limit: int = 1000,
        grace: timedelta = GRACE,
    ) -> Collector:
        """Return a collector over the store, or over another inventory of it."""
        return Collector(
            self.store,
            inventory or self.inventory,
            grace,
            limit,
            clock=lambda: time.time() + self.ahead_s,
        )

    async def collect(
        self,
        *,
        dry_run: bool = False,
        inventory: BlobInventory | None = None,
        limit: int = 1000,
        grace: timedelta = GRACE,
    ) -> Collection:
        """Do a whole round."""
        round_ = await self.store.begin_collection(dry_run=dry_run)
        await self.collector(inventory, limit, grace).collect(round_)
        await self.store.end_collection(round_)
        return round_

    async def put(self, data: bytes, *, days_ago: float = 0.0) -> BlobRef:
        """Store bytes that nothing names, as if some days ago."""
        ref = await self.blobs.put_bytes(data, DICOM)
        self.age(ref, days_ago)
        return ref

    def age(self, ref: BlobRef, days: float) -> None:
        """Let a blob have been put some days ago."""
        path = self.blobs.local_path(ref)
        assert path is not None
        moment = time.time() - days * DAY_S
        os.utime(path, (moment, moment))

    async def index(self, data: bytes, number: int = 1, study_uid: str = "1.2.1") -> str:
        """Name bytes by an instance and return our id of its study."""
        coming = [arrival(study(study_uid), number=number, data=data)]
        while True:
            try:
                async with transaction(self.pool) as connection:
                    return (await Indexer().index(connection, coming))[0].held.study_id
            except IndexRaceError:
                continue

    async def name_as_result(self, ref: BlobRef) -> None:
        """Name a blob as a file of a result."""
        await self.pool.execute(
            "INSERT INTO workflow.result_blob (study_id, sha256, stage_id, size_bytes, media_type)"
            " VALUES ($1, $2, $3, $4, 'application/pdf')",
            new_id(),
            ref.sha256,
            new_id(),
            ref.size_bytes,
        )

    async def rows(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database."""
        return await self.pool.fetch(statement, *values)


@pytest.fixture
async def yard(coordinator_pool: Pool, tmp_path: Path) -> Yard:
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    return Yard(coordinator_pool, blobs, inventory_of(blobs), StorageStore(coordinator_pool))

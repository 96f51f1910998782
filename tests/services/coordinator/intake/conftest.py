"""A running intake over a real database and a real blob store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.intake.v1 import intake_service_pb2 as pb
from heimdallr.intake.v1 import intake_service_pb2_grpc as pb_grpc
from services.coordinator.archive.indexer import Indexer
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.intake.association_audit import TrailAssociationAudit
from services.coordinator.intake.committer import Committer
from services.coordinator.intake.flushing import Flusher
from services.coordinator.intake.service import IntakeService, StreamBounds
from services.coordinator.intake.staged import StoredBlobs
from services.coordinator.intake.store import IntakeStore
from services.runtime.local_blobs import LocalBlobs
from services.runtime.migrate import apply
from services.runtime.postgres import Connection, Pool
from tests.services.coordinator.intake.envelopes import attributes, exchange, instance
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn
from tests.support.trail import ListTrail

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

PACKAGES = (
    "services.coordinator.archive",
    "services.coordinator.events",
    "services.coordinator.intake",
)
BOUNDS = StreamBounds(in_flight=256, open_instances=4, open_bytes=8 << 20)


@dataclass(slots=True)
class Intake:
    """An intake under test."""

    stub: pb_grpc.IntakeServiceAsyncStub
    server: RunningServer
    pool: Pool
    blobs: LocalBlobs
    archive: ArchiveStore
    trail: ListTrail
    opened: list[tuple[str, int]]
    folder: Path
    draining: asyncio.Event

    async def send(self, *envelopes: pb.Instance) -> list[pb.IngestResponse]:
        """Send envelopes on one stream and return the answers in the order of the envelopes."""
        requests = [pb.IngestRequest(sequence=n, instance=e) for n, e in enumerate(envelopes)]
        answers = await exchange(self.stub, requests)
        return [answers[n] for n in range(len(envelopes))]

    async def stage(self, data: bytes = b"bytes") -> bytes:
        """Put bytes into the blob store."""
        await self.blobs.put_bytes(data, "application/dicom")
        return data

    async def slices(
        self, study: str, count: int, association_id: str | None = None, first: int = 1
    ) -> list[pb.IngestResponse]:
        """Send staged slices of one series."""
        data = await self.stage()
        return await self.send(
            *(
                instance(attributes(study, number=n), data, association_id)
                for n in range(first, first + count)
            )
        )


@asynccontextmanager
async def running_intake(pool: Pool, folder: Path) -> AsyncIterator[Intake]:
    """Run what one coordinator process runs of intake, over a migrated database."""
    blobs = LocalBlobs(folder / "blobs", free_bytes=0)
    opened: list[tuple[str, int]] = []

    async def on_generation_opened(_connection: Connection, study_id: str, number: int) -> None:
        opened.append((study_id, number))

    store = IntakeStore(pool, Indexer(on_generation_opened))
    committer = Committer(store, StoredBlobs(blobs), Flusher(blobs))
    trail = ListTrail()
    audit = TrailAssociationAudit(trail, "coordinator")
    draining = asyncio.Event()
    service = IntakeService(committer, blobs, audit, bounds=BOUNDS, draining=draining)
    running = asyncio.create_task(committer.run())
    async with running_server(
        folder,
        lambda server: pb_grpc.add_IntakeServiceServicer_to_server(service, server),
    ) as server:
        channel = server.channel(Permission.PERMISSION_INTAKE_WRITE, subject="gateway")
        stub = pb_grpc.IntakeServiceStub(channel)
        archive = ArchiveStore(pool)
        yield Intake(stub, server, pool, blobs, archive, trail, opened, folder, draining)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def intake(pool: Pool, tmp_path: Path) -> AsyncIterator[Intake]:
    await apply(pool, PACKAGES)
    async with running_intake(pool, tmp_path) as running:
        yield running

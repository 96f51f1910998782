"""A running registry of peers over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from heimdallr.peers.v1 import peers_service_pb2_grpc as pb_grpc
from services.coordinator.peers.service import PeersService
from services.coordinator.peers.store import PeerStore
from services.coordinator.peers.vault import Vault
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.services.coordinator.peers.registry import ADMIN, READ, USE, Stub
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]


@pytest.fixture
async def server(pool: Pool, tmp_path: Path) -> AsyncIterator[RunningServer]:
    await apply(pool, ["services.coordinator.peers"])
    service = PeersService(PeerStore(pool, Vault.load_or_create(tmp_path / "peers.key")))

    def add(target: grpc.aio.Server) -> None:
        pb_grpc.add_PeersServiceServicer_to_server(service, target)

    async with running_server(tmp_path, add) as running:
        yield running


@pytest.fixture
def admin(server: RunningServer) -> Stub:
    return pb_grpc.PeersServiceStub(server.channel(ADMIN, READ))


@pytest.fixture
def gateway(server: RunningServer) -> Stub:
    return pb_grpc.PeersServiceStub(server.channel(READ, USE, subject="gateway"))

"""A workflow over a real database with a mesh of real gRPC servers that answer made-up results."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.services.coordinator.workflow.fake_mesh import FakeMesh, served
from tests.services.coordinator.workflow.workshop import PACKAGES, Workshop, open_workshop
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]


@pytest.fixture
def mesh() -> FakeMesh:
    # The workflow asks for no drawing, decoding or transcoding.
    return FakeMesh()  # type: ignore[abstract]


@pytest.fixture
async def mesh_address(mesh: FakeMesh, tmp_path: Path) -> AsyncIterator[str]:
    async with served(mesh, tmp_path) as address:
        yield address


@pytest.fixture
async def database(pool: Pool) -> Pool:
    await apply(pool, PACKAGES)
    return pool


@pytest.fixture
async def workshop(database: Pool, mesh_address: str) -> AsyncIterator[Workshop]:
    opened = open_workshop(database, mesh_address)
    yield opened
    await opened.channel.close()

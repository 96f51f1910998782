"""A database with every table of the coordinator, copied from one that was migrated once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.coordinator.assembly import PACKAGES
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, open_pool


@pytest.fixture(scope="session")
def coordinator_template(postgres_server_dsn: str) -> Iterator[str]:
    """Name of a database that holds every table and no row."""
    name = f"template_{new_id().replace('-', '')}"
    asyncio.run(_make(postgres_server_dsn, name))
    yield name
    asyncio.run(_execute(postgres_server_dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def coordinator_pool(
    postgres_server_dsn: str, coordinator_template: str
) -> AsyncIterator[Pool]:
    """Pool on a database of the test's own with every table of the coordinator."""
    name = f"test_{new_id().replace('-', '')}"
    await _execute(postgres_server_dsn, f"CREATE DATABASE {name} TEMPLATE {coordinator_template}")
    opened = await _open(postgres_server_dsn, name)
    yield opened
    await opened.close()
    await _execute(postgres_server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _make(server_dsn: str, name: str) -> None:
    await _execute(server_dsn, f"CREATE DATABASE {name}")
    pool = await _open(server_dsn, name)
    await apply(pool, PACKAGES)
    await pool.close()


async def _open(server_dsn: str, name: str) -> Pool:
    dsn = urlunsplit(urlsplit(server_dsn)._replace(path=f"/{name}"))
    return await open_pool(dsn, application_name="test", max_size=6, patience_s=5)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

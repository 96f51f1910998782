"""Connections to a real PostgreSQL, there and gone."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from services.runtime.errors import DependencyUnavailableError
from services.runtime.postgres import Pool, connection, open_pool, transaction

pytestmark = pytest.mark.postgres


async def test_a_transaction_takes_effect_together_or_not_at_all(pool: Pool) -> None:
    async with transaction(pool) as borrowed:
        await borrowed.execute("CREATE TABLE thing (n integer)")
        await borrowed.execute("INSERT INTO thing VALUES (1)")

    async def change_of_mind() -> None:
        async with transaction(pool) as borrowed:
            await borrowed.execute("INSERT INTO thing VALUES (2)")
            raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        await change_of_mind()

    assert await pool.fetchval("SELECT count(*) FROM thing") == 1


async def test_a_connection_says_who_it_is_and_ends_slow_statements(postgres_dsn: str) -> None:
    opened = await open_pool(postgres_dsn, application_name="who", statement_timeout_s=0.1)
    try:
        assert await opened.fetchval("SHOW application_name") == "who"
        assert await opened.fetchval("SHOW timezone") == "UTC"
        with pytest.raises(asyncpg.QueryCanceledError):
            await opened.fetchval("SELECT pg_sleep(5)")
    finally:
        await opened.close()


async def test_an_absent_server_is_a_missing_dependency() -> None:
    with pytest.raises(DependencyUnavailableError) as caught:
        await open_pool("postgresql://x@127.0.0.1:1/x", application_name="x", patience_s=0.3)

    assert caught.value.metadata == {"dependency": "postgres"}


@pytest.mark.parametrize("borrow", [connection, transaction])
async def test_a_connection_that_is_cut_is_a_missing_dependency(pool: Pool, borrow: Any) -> None:
    async def cut() -> None:
        async with borrow(pool) as borrowed:
            own = await borrowed.fetchval("SELECT pg_backend_pid()")
            await pool.execute("SELECT pg_terminate_backend($1, 5000)", own)
            await borrowed.fetchval("SELECT 1")

    with pytest.raises(DependencyUnavailableError):
        await cut()

    assert await pool.fetchval("SELECT 1") == 1


async def test_a_wrong_argument_is_not_a_missing_dependency(pool: Pool) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        async with connection(pool) as borrowed:
            await borrowed.fetchval("SELECT 1", "too many")
    with pytest.raises(asyncpg.DataError):
        async with connection(pool) as borrowed:
            await borrowed.fetchval("SELECT $1::integer", "no number")

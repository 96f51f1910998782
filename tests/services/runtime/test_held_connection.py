"""One connection kept from use to use, and replaced when it is of no use any more."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services.runtime.errors import DependencyUnavailableError
from services.runtime.held_connection import HeldConnection
from services.runtime.postgres import Pool
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres

_PID = "SELECT pg_backend_pid()"


async def _pid(held: HeldConnection) -> int:
    async with held.use() as connection:
        return int(await connection.fetchval(_PID))


async def test_it_is_the_same_connection_each_time_and_commits_durably(pool: Pool) -> None:
    held = HeldConnection(pool)

    first = await _pid(held)
    async with held.use() as connection:
        setting = await connection.fetchval("SHOW synchronous_commit")

    assert await _pid(held) == first
    assert setting == "on"
    await held.close()


async def test_after_a_failure_it_is_given_back_and_the_next_use_works(pool: Pool) -> None:
    held = HeldConnection(pool)

    with pytest.raises(asyncpg.DivisionByZeroError):
        async with held.use() as connection:
            await connection.fetchval("SELECT 1 / 0")

    assert pool.get_idle_size() == pool.get_size()
    assert await _pid(held)
    await held.close()


async def test_one_that_was_cut_while_idle_is_replaced_unnoticed(pool: Pool) -> None:
    held = HeldConnection(pool)
    first = await _pid(held)

    await pool.execute("SELECT pg_terminate_backend($1)", first)
    await asyncio.sleep(0.2)

    assert await _pid(held) != first
    await held.close()


async def test_one_that_is_cut_in_use_says_that_the_database_is_away(pool: Pool) -> None:
    held = HeldConnection(pool)

    with pytest.raises(DependencyUnavailableError):
        await _cut_in_use(held, pool)

    assert await _pid(held)
    await held.close()


async def _cut_in_use(held: HeldConnection, pool: Pool) -> None:
    async with held.use() as connection:
        pid = await connection.fetchval(_PID)
        await pool.execute("SELECT pg_terminate_backend($1)", pid)
        await connection.fetchval("SELECT pg_sleep(5)")

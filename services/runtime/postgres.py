"""Connections to PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.runtime import logs, telemetry
from services.runtime.database_metrics import note_query, transaction_ends, waiting
from services.runtime.errors import DependencyUnavailableError

NOT_REACHED: Final = "postgres.not_reached"

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection | PoolConnectionProxy

_LOST: Final = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)
_UNREACHABLE: Final = (*_LOST, OSError, TimeoutError)


async def open_pool(
    dsn: str,
    *,
    application_name: str,
    max_size: int = 10,
    statement_timeout_s: float = 30.0,
    patience_s: float = 60.0,
) -> Pool:
    """Open a pool, trying again with growing pauses while the server cannot be reached.

    Args:
        dsn: libpq URL of the database.
        application_name: Shown in ``pg_stat_activity``.
        max_size: Most connections at once.
        statement_timeout_s: The server ends statements that take longer, in seconds.
        patience_s: How long to try, in seconds.

    Raises:
        DependencyUnavailableError: Not reached in time.
    """
    settings = {
        "application_name": application_name,
        "statement_timeout": str(int(statement_timeout_s * 1000)),
        "timezone": "UTC",
    }
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience_s
    pause_s = 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_size,
                server_settings=settings,
                timeout=10,
                init=_measured,
            )
        except _UNREACHABLE:
            if loop.time() + pause_s > give_up:
                raise DependencyUnavailableError("postgres") from None
            logs.get_logger().warning(NOT_REACHED, delay_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Borrow a connection; each statement is a transaction of its own.

    Raises:
        DependencyUnavailableError: The server cannot be reached or has no connection free in time.
    """
    try:
        with waiting():
            borrowed = await pool.acquire(timeout=10)
    except _UNREACHABLE:
        raise DependencyUnavailableError("postgres") from None
    try:
        yield borrowed
    except _LOST:
        raise DependencyUnavailableError("postgres") from None
    except asyncpg.InterfaceError:
        # asyncpg says the same of a lost connection and of a wrong argument.
        if is_gone(borrowed):
            raise DependencyUnavailableError("postgres") from None
        raise
    finally:
        await pool.release(borrowed)


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Run statements that take effect together, or not at all when the block raises.

    Raises:
        DependencyUnavailableError: The server cannot be reached or has no connection free in time.
    """
    with telemetry.span("postgres.transaction", inner=True):
        async with connection(pool) as borrowed:
            with transaction_ends():
                async with borrowed.transaction():
                    yield borrowed


async def _measured(opened: Connection) -> None:
    opened.add_query_logger(note_query)


def is_gone(borrowed: Connection) -> bool:
    """Return whether a borrowed connection is closed, or has left its borrower."""
    try:
        return borrowed.is_closed()
    except asyncpg.InterfaceError:
        # A connection that is cut gives itself back to the pool.
        return True

"""One connection of a pool that is kept from use to use.

A pool resets a connection each time that it is given back, which is a round trip of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg

from services.runtime.errors import DependencyUnavailableError
from services.runtime.postgres import Connection, Pool, connection, is_gone

_DURABLE: Final = "SET synchronous_commit TO on"


class HeldConnection:
    """Lends one connection to one user at a time; a new one after anything failed on it.

    A commit on it is flushed to disk, whatever the server's own setting.

    Args:
        pool: Where it comes from.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._borrowed = AsyncExitStack()
        self._connection: Connection | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Lend the connection.

        Raises:
            DependencyUnavailableError: The server cannot be reached or has no connection free.
        """
        try:
            yield await self._lent()
        except asyncpg.InternalClientError as error:
            # What asyncpg says when the server hung up between two statements.
            await self._give_back(error)
            raise DependencyUnavailableError("postgres") from None
        except BaseException as error:
            await self._give_back(error)
            raise

    async def close(self) -> None:
        """Give the connection back to the pool."""
        await self._give_back(None)

    async def _lent(self) -> Connection:
        if self._connection is not None and not is_gone(self._connection):
            return self._connection
        # One that was cut while nobody used it is no failure of who comes next.
        await self._give_back(None)
        borrowed = await self._borrowed.enter_async_context(connection(self._pool))
        await borrowed.execute(_DURABLE)
        self._connection = borrowed
        return borrowed

    async def _give_back(self, error: BaseException | None) -> None:
        self._connection = None
        stack, self._borrowed = self._borrowed, AsyncExitStack()
        # The pool's context manager turns what was lost into an error of ours.
        await stack.__aexit__(type(error) if error else None, error, None)

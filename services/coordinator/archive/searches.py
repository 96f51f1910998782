"""Bounds on what searches cost, whatever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg

from services.runtime.errors import LimitExceededError
from services.runtime.postgres import Connection, Pool, transaction
from services.runtime.queries import load_queries

_BOUND: Final = load_queries("services.coordinator.archive", "query.sql")["bound_search"]
_TIME: Final = "query_time"


@dataclass(frozen=True, slots=True)
class SearchBounds:
    """What searches may cost.

    Attributes:
        statement_s: Longest time of one statement, in seconds.
        connections: Most connections of the pool that searches use at once; others wait.
        ids: Most ids that are read at once.
        series: Most series whose instances are located in one call.
    """

    statement_s: float = 5.0
    connections: int = 6
    ids: int = 5000
    series: int = 50_000


class Searches:
    """Lends connections to searches, so that they cannot take them all from what must go on."""

    def __init__(self, pool: Pool, bounds: SearchBounds | None = None) -> None:
        self._pool = pool
        self.bounds = bounds or SearchBounds()
        self._turns = asyncio.Semaphore(self.bounds.connections)

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Connection]:
        """Lend a connection in a transaction of its own.

        Raises:
            LimitExceededError: A statement takes too long; the search has to be narrowed.
            DependencyUnavailableError: The database cannot be reached.
        """
        async with self._turns, transaction(self._pool) as borrowed:
            await borrowed.execute(_BOUND, str(int(self.bounds.statement_s * 1000)))
            try:
                yield borrowed
            except asyncpg.QueryCanceledError:
                raise LimitExceededError(_TIME) from None

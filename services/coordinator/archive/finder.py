"""Runs queries over the index: bounded in time, memory and connections, whatever is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final
from uuid import UUID

from services.coordinator.archive.conditions import terms_of
from services.coordinator.archive.found import Found, FoundRows
from services.coordinator.archive.instants import studied_days
from services.coordinator.archive.keys import Level
from services.coordinator.archive.links import linked_patients
from services.coordinator.archive.query import Query, any_statement, descending, page_statement
from services.coordinator.archive.searches import Searches
from services.coordinator.archive.terms import Term
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive", "query.sql")
BATCH_ROWS: Final = 200
# More days than this are not looked at one by one.
_DAYS: Final = 800


class Finder:
    """Finds rows in batches. No connection is held while a batch is on its way to the caller."""

    def __init__(self, searches: Searches) -> None:
        self._searches = searches

    async def find(self, query: Query) -> AsyncGenerator[list[Found], None]:
        """Yield what matches in batches of at most 200, in a stable order.

        Raises:
            InvalidFieldError: An attribute is not matched at this level, or not in this way.
            LimitExceededError: The search takes too long; it has to be narrowed.
        """
        terms = terms_of(
            query.matches,
            query.level,
            fuzzy_names=query.fuzzy_names,
            linked=await linked_patients(self._searches, query.matches),
        )
        async for ids in self._ids(query, terms):
            for start in range(0, len(ids), BATCH_ROWS):
                batch = ids[start : start + BATCH_ROWS]
                async with self._searches.statement() as borrowed:
                    rows = await FoundRows(borrowed).read(query.level, batch)
                if rows:
                    yield rows

    async def _ids(self, query: Query, terms: Sequence[Term]) -> AsyncGenerator[list[UUID], None]:
        if terms:
            few = await self._few(query.level, terms)
            if few is not None:
                end = query.offset + query.limit if query.limit else None
                yield few[query.offset : end]
                return
        async for ids in self._pages(query, terms):
            yield ids

    async def _few(self, level: Level, terms: Sequence[Term]) -> list[UUID] | None:
        """Return all ids in order when they are few: one search, however they are ordered."""
        most = self._searches.bounds.ids
        statement, parameters = any_statement(level, terms, most + 1)
        async with self._searches.statement() as borrowed:
            rows = await borrowed.fetch(statement, *parameters)
            if len(rows) > most:
                return None
            ids = {row[0] for row in rows}
            if level is Level.PATIENT:
                rows = await borrowed.fetch(_QUERIES["survivors"], list(ids))
                ids = {row[0] for row in rows}
        return sorted(ids, reverse=descending(level))

    async def _before_days(self, query: Query) -> UUID | None:
        """Return where studies of a range of days begin, so that later ones are not looked at."""
        days = studied_days(query.matches) if query.level is Level.STUDY else None
        if days is None:
            return None
        async with self._searches.statement() as borrowed:
            row = await borrowed.fetchrow(_QUERIES["latest_of_days"], *days, _DAYS)
        if row is None or row["days"] == _DAYS:
            return None
        # asyncpg's UUIDs are not made from numbers.
        return UUID(int=UUID(bytes=row["study_id"].bytes).int + 1)

    async def _pages(self, query: Query, terms: Sequence[Term]) -> AsyncGenerator[list[UUID], None]:
        after = await self._before_days(query)
        offset, left = query.offset, query.limit
        size = BATCH_ROWS
        while True:
            most = min(size, left) if query.limit else size
            statement, parameters = page_statement(query.level, terms, after, most, offset)
            async with self._searches.statement() as borrowed:
                ids = [row[0] for row in await borrowed.fetch(statement, *parameters)]
            if ids:
                yield ids
            left -= len(ids)
            if len(ids) < most or (query.limit and left <= 0):
                return
            after, offset, size = ids[-1], 0, min(size * 2, self._searches.bounds.ids)

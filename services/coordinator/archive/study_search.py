"""Lists studies in an order: each search takes the way that is short for what it looks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import asyncpg

from services.coordinator.archive.expectation import expectation
from services.coordinator.archive.records import study_from_row
from services.coordinator.archive.search import Statement, StudyFilter, StudyList
from services.coordinator.archive.searches import Searches
from services.coordinator.archive.study import StudyKey, StudyRecord
from services.coordinator.archive.terms import Term
from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive", "query.sql")
# Rows that may match when they are fetched one by one and then ordered.
_FEW: Final = 6000
_DAYS: Final = 800


class StudySearch:
    """Finds pages of studies."""

    def __init__(self, searches: Searches) -> None:
        self._searches = searches

    async def page(
        self, wanted: StudyFilter, limit: int, after: StudyKey | None
    ) -> list[StudyRecord]:
        """Return studies that match, in the order wanted, from after one of them on.

        Raises:
            LimitExceededError: It takes too long; the search has to be narrowed.
        """
        async with self._searches.statement() as borrowed:
            rows = await Page(borrowed, StudyList(wanted), limit, after).read()
        return [study_from_row(row) for row in rows]


class Page:
    """One page, by one search after another until it is found."""

    def __init__(
        self, borrowed: Connection, studies: StudyList, limit: int, after: StudyKey | None
    ) -> None:
        self._borrowed = borrowed
        self._studies = studies
        self._limit = limit
        self._after = after

    async def read(self) -> Sequence[asyncpg.Record]:
        """Return the rows of the page."""
        studies = self._studies
        found: Sequence[asyncpg.Record] | None = None
        if studies.pointed:
            found = await self._matching(studies.pointed)
        elif studies.other:
            found = await self._by_estimates()
        return await self._ordered() if found is None else found

    async def _by_estimates(self) -> Sequence[asyncpg.Record] | None:
        (row,) = await self._fetch(self._studies.estimates())
        expected = expectation(json.loads(row[0])[0]["Plan"], self._studies, self._limit)
        found = None if expected.look_first else await self._matching(expected.sought)
        if found is None:
            found = await self._look(expected.rows_to_look_at)
        if found is None and expected.look_first:
            found = await self._matching(expected.sought)
        return found

    async def _look(self, most: int) -> Sequence[asyncpg.Record] | None:
        """Return the page when it is found in the rows that come first; None when it is not."""
        if not await self._begin_at_days():
            return []
        rows = await self._fetch(self._studies.within(most, self._limit, self._after))
        return rows if len(rows) == self._limit else None

    async def _begin_at_days(self) -> bool:
        """Go to where the first study of the days may stand; False when there is none."""
        statement = self._studies.bound(_DAYS)
        if statement is None:
            return True
        at, days = (await self._fetch(statement))[0]
        if days == 0:
            return False
        if days < _DAYS:
            self._after = self._studies.begin(at, self._after)
        return True

    async def _ordered(self) -> Sequence[asyncpg.Record]:
        return await self._fetch(self._studies.ordered(self._limit, self._after))

    async def _matching(self, sought: Sequence[Term]) -> Sequence[asyncpg.Record] | None:
        """Return the page when few studies match; None when many do."""
        await self._borrowed.execute(_QUERIES["only_matching"])
        rows = await self._fetch(self._studies.among(sought, _FEW, self._limit, self._after))
        await self._borrowed.execute(_QUERIES["by_any_plan"])
        return None if rows and rows[0]["matching"] > _FEW else rows

    async def _fetch(self, statement: Statement) -> Sequence[asyncpg.Record]:
        text, parameters = statement
        return await self._borrowed.fetch(text, *parameters)

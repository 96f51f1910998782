"""Lists studies in an order: each search takes the way that is short for what it looks for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg

from services.coordinator.archive.records import study_from_row
from services.coordinator.archive.search import Statement, StudyFilter, StudyList
from services.coordinator.archive.searches import Searches
from services.coordinator.archive.study import StudyKey, StudyRecord
from services.coordinator.archive.terms import Term
from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive", "query.sql")
# Rows that are looked through in order for each row of the page, at first and then once more: a
# look costs about a microsecond a row.
_FIRST_LOOK: Final = 60
_SECOND_LOOK: Final = 240
# Rows that may match when they are fetched one by one and then ordered.
_FEW: Final = 6000
# Beyond this an index gives more rows than deciding on each costs.
_NARROWING: Final = 20_000
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
        rows_by_term = await self._estimates()
        sought = _sought(rows_by_term)
        few = min(rows_by_term.values()) <= _FEW
        found = await self._matching(sought) if few else None
        if found is None:
            found = await self._looked_through()
        if found is None and not few:
            found = await self._matching(sought)
        return found

    async def _looked_through(self) -> Sequence[asyncpg.Record] | None:
        """Return the page when it is found in the rows that come first; None when it is not."""
        if not await self._begin_at_days():
            return []
        rows = await self._look(_FIRST_LOOK)
        if self._limit // 4 < len(rows) < self._limit:
            rows = await self._look(_SECOND_LOOK)
        return rows if len(rows) == self._limit else None

    async def _look(self, each: int) -> Sequence[asyncpg.Record]:
        most = each * self._limit
        return await self._fetch(self._studies.within(most, self._limit, self._after))

    async def _estimates(self) -> dict[Term, float]:
        """Return how many rows the planner expects to match each condition by itself."""
        (row,) = await self._fetch(self._studies.estimates())
        plan = json.loads(row[0])[0]["Plan"]
        plans = plan["Plans"] if plan["Node Type"] == "Append" else [plan]
        return dict(zip(self._studies.terms, (one["Plan Rows"] for one in plans), strict=True))

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


def _sought(rows_by_term: Mapping[Term, float]) -> list[Term]:
    """Return the conditions whose indexes are worth reading: the rarest, and others as rare."""
    rarest = min(rows_by_term, key=lambda term: rows_by_term[term])
    return [t for t, rows in rows_by_term.items() if t is rarest or rows <= _NARROWING]

"""Calls studies complete when there is evidence for it, and lets them be planned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

import asyncpg

from services.coordinator.archive.errors import StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import Evidence, JudgedStudy, StudyState
from services.coordinator.workflow.arrivals import ArrivingStudy, arriving_studies
from services.coordinator.workflow.completeness import CompletenessRules, judge
from services.coordinator.workflow.lifecycle import StageLifecycle
from services.coordinator.workflow.patience import keep_going
from services.coordinator.workflow.store import QUERIES
from services.runtime.postgres import Connection, Pool, connection, transaction

_BATCH: Final = 100

_Said = tuple[datetime, datetime | None]
"""When the last instance of a study came, and when something was last said of it."""


class CompletenessLoop:
    """Looks for studies that may be called complete. Several may run at once.

    Args:
        pool: Pool of the database.
        archive: Knows what came and when.
        lifecycle: Begins the work.
        rules: When a study is complete.
        wake: Called when there is new work in the queue.
        every_s: Pause between looks, in seconds.
    """

    def __init__(
        self,
        pool: Pool,
        archive: ArchiveStore,
        lifecycle: StageLifecycle,
        rules: CompletenessRules,
        wake: Callable[[], None],
        every_s: float = 0.5,
    ) -> None:
        self._pool = pool
        self._archive = archive
        self._lifecycle = lifecycle
        self._rules = rules
        self._wake = wake
        self._every_s = every_s
        self._short: dict[str, _Said] = {}

    async def run(self) -> None:
        """Look for studies until cancelled; while the database is away, try again."""
        await keep_going("completeness", self._look)

    async def judge(self) -> int:
        """Begin the work on the studies that are complete now and return how many there were."""
        count = 0
        short: dict[str, _Said] = {}
        async for studies in self._candidates(short):
            evidence = {study.study_id: judge(study.arrival, self._rules) for study in studies}
            complete = [study for study in studies if evidence[study.study_id] is not None]
            if complete:
                count += await self._begin(complete, evidence)
            short |= {
                study.study_id: (study.last_receive_time, study.said_time)
                for study in studies
                if evidence[study.study_id] is None and study.arrival.more_announced
            }
        self._short = short
        if count:
            self._wake()
        return count

    async def complete(self, study_id: str) -> tuple[Evidence | None, int]:
        """Call a study complete because a person says so; its evidence and generation then.

        One that is complete already stays as it is.

        Raises:
            StudyNotFoundError: No such study.
        """
        async with transaction(self._pool) as borrowed:
            head = await self._archive.lock_study(borrowed, study_id)
            if head is None:
                raise StudyNotFoundError(study_id)
            generation, state = head
            if state is StudyState.RECEIVING:
                judged = JudgedStudy(study_id, generation, Evidence.PERSON)
                await self._lifecycle.begin_study(borrowed, judged)
            record = await self._archive.study_record(study_id, borrowed)
        self._wake()
        return (None if record is None else record.evidence), generation

    async def _look(self) -> None:
        await self.judge()
        await asyncio.sleep(self._every_s)

    async def _candidates(self, short: dict[str, _Said]) -> AsyncIterator[list[ArrivingStudy]]:
        """Give the studies that may be complete by now, some at a time.

        Those that were short of what was announced, and of which nothing is new, are not counted
        again before their time is over; they are added to ``short``.
        """
        after: str | None = None
        least = min(self._rules.quiet_after, self._rules.released_after)
        while True:
            async with connection(self._pool) as borrowed:
                rows = await borrowed.fetch(QUERIES["arriving_ids"], least, _BATCH, after)
                known = {row["study_id"]: said for row in rows if (said := self._still_short(row))}
                ids = [row["study_id"] for row in rows if row["study_id"] not in known]
                studies = await arriving_studies(borrowed, ids) if ids else []
            short |= known
            if studies:
                yield studies
            if len(rows) < _BATCH:
                return
            after = rows[-1]["study_id"]

    def _still_short(self, row: asyncpg.Record) -> _Said | None:
        said: _Said = (row["last_receive_time"], row["said_time"])
        if self._short.get(row["study_id"]) != said:
            return None
        bound = max(self._rules.announced_after, self._rules.quiet_after)
        return said if row["quiet"] < bound else None

    async def _begin(
        self, complete: list[ArrivingStudy], evidence: dict[str, Evidence | None]
    ) -> int:
        async with transaction(self._pool) as borrowed:
            locked = await _still(borrowed, complete)
            for study in complete:
                why = evidence[study.study_id]
                if study.study_id in locked and why is not None:
                    judged = JudgedStudy(study.study_id, study.generation, why)
                    await self._lifecycle.begin_study(borrowed, judged)
        return len(locked)


async def _still(borrowed: Connection, studies: list[ArrivingStudy]) -> set[str]:
    """Lock studies to which nothing came since they were judged, and return their ids."""
    rows = await borrowed.fetch(
        QUERIES["lock_arriving"],
        [study.study_id for study in studies],
        [study.last_receive_time for study in studies],
    )
    return {row["study_id"] for row in rows}

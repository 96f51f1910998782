"""Calls studies complete when there is evidence for it, and lets them be planned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

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

    async def run(self) -> None:
        """Look for studies until cancelled; while the database is away, try again."""
        await keep_going("completeness", self._look)

    async def judge(self) -> int:
        """Begin the work on the studies that are complete now and return how many there were."""
        count = 0
        async for studies in self._candidates():
            evidence = {study.study_id: judge(study.arrival, self._rules) for study in studies}
            complete = [study for study in studies if evidence[study.study_id] is not None]
            if complete:
                count += await self._begin(complete, evidence)
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

    async def _candidates(self) -> AsyncIterator[list[ArrivingStudy]]:
        """Give the studies that may be complete by now, some at a time."""
        after: str | None = None
        least = min(self._rules.quiet_after, self._rules.released_after)
        while True:
            async with connection(self._pool) as borrowed:
                rows = await borrowed.fetch(QUERIES["arriving_ids"], least, _BATCH, after)
                if rows:
                    ids = [row["study_id"] for row in rows]
                    studies = await arriving_studies(borrowed, ids)
            if rows:
                yield studies
            if len(rows) < _BATCH:
                return
            after = rows[-1]["study_id"]

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

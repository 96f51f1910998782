"""Calls studies complete when there is evidence for it, and lets them be planned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.lifecycle import StageLifecycle
from services.coordinator.workflow.patience import keep_going
from services.runtime.postgres import Pool, transaction

_BATCH: Final = 50


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
        async with transaction(self._pool) as connection:
            judged = await self._archive.receiving_studies_ready_to_judge(
                connection, self._rules.quiet_after, self._rules.released_after, _BATCH
            )
            for study in judged:
                await self._lifecycle.begin_study(connection, study)
        if judged:
            self._wake()
        return len(judged)

    async def _look(self) -> None:
        if await self.judge() < _BATCH:
            await asyncio.sleep(self._every_s)

"""Forgets what the worklist need not keep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from services.coordinator.workflow.patience import keep_going
from services.coordinator.worklist.store import QUERIES
from services.runtime import logs
from services.runtime.postgres import Connection, Pool, transaction

FORGOTTEN: Final = "worklist.forgotten"
_EVERY_S: Final = 3600.0

Forget = Callable[[Connection, timedelta], Awaitable[int]]
"""Forgets what is older, in the transaction given, and returns how much that was."""


class Tidying:
    """Forgets old steps, an hour apart. Several coordinators may do so at once.

    Args:
        pool: Pool of the database.
        keep: How long they are kept.
        beside: Forgets what others keep because of steps.
    """

    def __init__(self, pool: Pool, keep: timedelta, beside: Forget) -> None:
        self._pool = pool
        self._keep = keep
        self._beside = beside

    async def run(self) -> None:
        """Forget until cancelled; while the database is away, try again."""
        await keep_going("worklist", self._look)

    async def tidy(self) -> int:
        """Forget what is too old and return how much that was."""
        async with transaction(self._pool) as borrowed:
            scheduled = await borrowed.fetch(QUERIES["forget_scheduled"], self._keep)
            performed = await borrowed.fetch(QUERIES["forget_performed"], self._keep)
            beside = await self._beside(borrowed, self._keep)
        return len(scheduled) + len(performed) + beside

    async def _look(self) -> None:
        count = await self.tidy()
        if count:
            logs.get_logger().info(FORGOTTEN, count=count)
        await asyncio.sleep(_EVERY_S)

"""Tells watchers when something is new about a study, with one query for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from services.coordinator.workflow.patience import keep_going
from services.coordinator.workflow.store import QUERIES
from services.runtime.postgres import Pool, connection

_LOOK_EVERY_S: Final = 0.5


class ChangeFeed:
    """Looks at the studies that are watched in this process.

    Args:
        pool: Pool of the database.
        every_s: Pause between looks, in seconds.
        draining: Set when the server begins to stop; watchers are woken to see that they end.
    """

    def __init__(
        self, pool: Pool, every_s: float = _LOOK_EVERY_S, draining: asyncio.Event | None = None
    ) -> None:
        self._pool = pool
        self._draining = draining or asyncio.Event()
        self._every_s = every_s
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._versions: dict[str, tuple[object, ...]] = {}

    async def run(self) -> None:
        """Look until cancelled; while the database is away, try again."""
        await keep_going("watch", self._look)

    @property
    def ended(self) -> bool:
        """Whether watchers should end: the server stops."""
        return self._draining.is_set()

    @asynccontextmanager
    async def watch(self, study_id: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set whenever something is new about a study."""
        event = asyncio.Event()
        self._watchers.setdefault(study_id, set()).add(event)
        try:
            yield event
        finally:
            self._watchers[study_id].discard(event)
            if not self._watchers[study_id]:
                del self._watchers[study_id]
                self._versions.pop(study_id, None)

    async def _look(self) -> None:
        await asyncio.sleep(self._every_s)
        if self.ended:
            for event in [event for events in self._watchers.values() for event in events]:
                event.set()
        if self.ended or not self._watchers:
            return
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["study_versions"], list(self._watchers))
        versions = {row["study_id"]: tuple(row.values()) for row in rows}
        # One that is gone has no row: its watchers are told once, and find that out.
        versions |= dict.fromkeys(self._versions.keys() - versions.keys(), ())
        for study_id, version in versions.items():
            if self._versions.get(study_id) != version:
                self._versions[study_id] = version
                for event in self._watchers.get(study_id, ()):
                    event.set()


async def wait_for(event: asyncio.Event, timeout_s: float) -> None:
    """Wait until an event is set or the time is over, then clear it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    event.clear()

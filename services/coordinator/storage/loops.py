"""Collects and scrubs on a schedule or when asked, one coordinator at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from services.coordinator.events.wakeups import wait_for
from services.coordinator.storage import collector, scrubber
from services.coordinator.storage.collector import Collector
from services.coordinator.storage.metrics import DAMAGED
from services.coordinator.storage.rounds import Collection, Scrub
from services.coordinator.storage.scrubber import Scrubber
from services.coordinator.storage.store import StorageStore
from services.coordinator.workflow.patience import keep_going
from services.runtime import logs

COLLECTED: Final = "storage.collected"
SCRUBBED: Final = "storage.scrubbed"
_POLL_S: Final = 5.0


class CollectionLoop:
    """Has garbage collected.

    Args:
        store: Keeps rounds and turns.
        worker: Does a round.
        every: Time between two rounds.
    """

    def __init__(self, store: StorageStore, worker: Collector, every: timedelta) -> None:
        self._store = store
        self._worker = worker
        self._every = every
        self._asked = asyncio.Event()

    async def start(self, *, dry_run: bool) -> Collection:
        """Return the round that runs, or a new one that begins at once."""
        latest = await self._store.latest_collection()
        if latest is None or latest.end_time is not None:
            latest = await self._store.begin_collection(dry_run=dry_run)
        self._asked.set()
        return latest

    async def run(self) -> None:
        """Do rounds until cancelled; one that was broken off goes on first."""
        await keep_going("collect", self._look)

    async def _look(self) -> None:
        if await self._store.take_turn(collector.TASK, self._every):
            await self.start(dry_run=False)
        await self._go_on()
        await wait_for(self._asked, _POLL_S)

    async def _go_on(self) -> None:
        async with self._store.alone(collector.TASK) as alone:
            latest = await self._store.latest_collection()
            if not alone or latest is None or latest.end_time is not None:
                return
            try:
                await self._worker.collect(latest)
            except asyncio.CancelledError:
                raise
            except Exception:
                await self._store.end_collection(latest, failed=True)
                raise
            await self._store.end_collection(latest)
        logs.get_logger().info(
            COLLECTED, count=latest.set_aside_count, size_bytes=latest.set_aside_bytes
        )


class ScrubLoop:
    """Has what is stored read again.

    Args:
        store: Keeps rounds and turns.
        worker: Does a round.
        every: Time between two rounds.
        rate_bytes: Bytes that a round may read in a second unless told otherwise.
    """

    def __init__(
        self, store: StorageStore, worker: Scrubber, every: timedelta, rate_bytes: int
    ) -> None:
        self._store = store
        self._worker = worker
        self._every = every
        self._rate_bytes = rate_bytes
        self._asked = asyncio.Event()

    async def start(self, rate_bytes: int = 0) -> Scrub:
        """Return the round that runs, or a new one that begins at once."""
        latest = await self._store.latest_scrub()
        if latest is None or latest.end_time is not None:
            latest = await self._store.begin_scrub(rate_bytes or self._rate_bytes)
        self._asked.set()
        return latest

    async def run(self) -> None:
        """Do rounds until cancelled; one that was interrupted goes on where it was."""
        await keep_going("scrub", self._look)

    async def gather(self) -> None:
        """Look up how much is damaged, for Prometheus."""
        DAMAGED.set(await self._store.count_damage())

    async def _look(self) -> None:
        if await self._store.take_turn(scrubber.TASK, self._every):
            await self.start()
        async with self._store.alone(scrubber.TASK) as alone:
            latest = await self._store.latest_scrub()
            if alone and latest is not None and latest.end_time is None:
                await self._worker.scrub(latest)
                await self._store.end_scrub(latest)
                logs.get_logger().info(
                    SCRUBBED, count=latest.checked_count, size_bytes=latest.checked_bytes
                )
        await wait_for(self._asked, _POLL_S)

"""Tells the blob store up to when all that was staged here has been handed over.

Whoever collects garbage there cannot know what waits in a gateway's journal. It leaves alone what
was put after the moment that every gateway has confirmed last, whether or not the gateway runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.journal import Journal
from services.runtime import logs
from services.runtime.blob_inventory import BlobInventory
from services.runtime.errors import ServiceError

NOT_CONFIRMED: Final = "staging.not_confirmed"
_EVERY_S: Final = 60.0


class StagedConfirmation:
    """Confirms while the journal is empty.

    Args:
        journal: Holds what is staged and not handed over.
        inventory: Where it is confirmed.
        holder: Name of this gateway; unique among those that share the blob store.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        inventory: BlobInventory,
        holder: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._inventory = inventory
        self._holder = holder
        self._clock = clock

    async def confirm(self) -> bool:
        """Confirm up to now, if nothing waits; whether it did."""
        moment = self._clock()
        if not self._journal.is_empty:
            return False
        await self._inventory.confirm_staged(self._holder, moment)
        return True

    async def begin(self) -> None:
        """Hold everything when something waits from before, else confirm."""
        if not await self.confirm():
            await self._inventory.confirm_staged(self._holder, 0.0)

    async def run(self) -> None:
        """Confirm again and again until cancelled."""
        while True:
            try:
                await self.confirm()
            except (OSError, ServiceError) as error:
                # What is not confirmed is kept.
                logs.get_logger().warning(NOT_CONFIRMED, **logs.failure(error))
            await asyncio.sleep(_EVERY_S)

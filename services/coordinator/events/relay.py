"""Moves events from the outbox into the log, one mover at a time among all coordinators."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import asyncpg

from services.coordinator.events.log import EventLog
from services.coordinator.events.wakeups import wait_for
from services.runtime import logs
from services.runtime.errors import DependencyUnavailableError

RELAY_FAILED: Final = "events.relay_failed"
_BATCH: Final = 1000
_POLL_S: Final = 0.5
_RETRY_S: Final = 1.0
_EXPIRY_PAUSE_S: Final = 60.0


class Relay:
    """Gives committed events their cursors.

    Args:
        log: The log.
        wakeup: Set when the outbox has something new.
        retention: How long events are kept.
    """

    def __init__(self, log: EventLog, wakeup: asyncio.Event, retention: timedelta) -> None:
        self._log = log
        self._wakeup = wakeup
        self._retention = retention

    async def run(self) -> None:
        """Relay for ever; the database may come and go."""
        loop = asyncio.get_running_loop()
        next_expiry = loop.time()
        while True:
            try:
                while await self._log.relay(_BATCH) == _BATCH:
                    pass
                if loop.time() >= next_expiry:
                    while await self._log.expire(self._retention, _BATCH) > 0:
                        pass
                    next_expiry = loop.time() + _EXPIRY_PAUSE_S
            except (DependencyUnavailableError, asyncpg.PostgresError) as error:
                logs.get_logger().warning(RELAY_FAILED, **logs.failure(error))
                await asyncio.sleep(_RETRY_S)
            await wait_for(self._wakeup, _POLL_S)

"""One database connection that listens, for everybody in this process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import asyncpg

from services.runtime import logs
from services.runtime.errors import DependencyUnavailableError
from services.runtime.postgres import Connection, Pool, connection

OUTBOX_CHANNEL: Final = "heimdallr_outbox"
LOG_CHANNEL: Final = "heimdallr_events"
LISTENER_LOST: Final = "events.listener_lost"
_CHECK_S: Final = 10.0
_RETRY_S: Final = 1.0


class Wakeups:
    """Says when the outbox or the log has something new. A hint: whoever waits polls as well."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.outbox = asyncio.Event()
        self.log = asyncio.Event()

    async def run(self) -> None:
        """Listen for ever, again after a loss of the connection."""
        while True:
            try:
                async with connection(self._pool) as borrowed:
                    await self._listen(borrowed)
            except (DependencyUnavailableError, asyncpg.PostgresError) as error:
                logs.get_logger().warning(LISTENER_LOST, **logs.failure(error))
            await asyncio.sleep(_RETRY_S)

    async def _listen(self, borrowed: Connection) -> None:
        def woken(_connection: Any, _pid: int, channel: str, _payload: object) -> None:
            (self.outbox if channel == OUTBOX_CHANNEL else self.log).set()

        try:
            for channel in (OUTBOX_CHANNEL, LOG_CHANNEL):
                await borrowed.add_listener(channel, woken)
            # What happened while nobody listened.
            self.outbox.set()
            self.log.set()
            while True:
                await asyncio.sleep(_CHECK_S)
                await borrowed.execute("SELECT 1")
        finally:
            for channel in (OUTBOX_CHANNEL, LOG_CHANNEL):
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await borrowed.remove_listener(channel, woken)


async def wait_for(event: asyncio.Event, longest_s: float) -> None:
    """Wait until the event is set, but not longer than that, and clear it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await event.wait()
    event.clear()

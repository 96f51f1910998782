"""A worker in a process of its own, for tests that kill it: ``worker.py DSN MESH_ADDRESS``."""

from __future__ import annotations

import asyncio
import sys

from services.runtime.postgres import open_pool
from tests.services.coordinator.workflow.workshop import open_workshop


async def _main(dsn: str, address: str) -> None:
    pool = await open_pool(dsn, application_name="worker", max_size=4)
    await open_workshop(pool, address, worker="killed").dispatcher.run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))

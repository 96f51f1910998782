"""Figures that the database gives cheaply, however many studies there are."""

from __future__ import annotations

import time
from typing import Final

from heimdallr.operations.v1 import operations_service_pb2 as pb
from services.runtime.postgres import Pool, connection
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.operations")

_HOUR_MS: Final = 3_600_000
_SAMPLED_PAGES: Final = 2000
"""Pages of 8 KiB that are read to sum a table up; a longer one is estimated from so many."""


class Figures:
    """Reads throughput, stored bytes and the server's version."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def throughput(self) -> pb.Throughput:
        """Return what was done of late."""
        hour_ago = first_id_of(int(time.time() * 1000) - _HOUR_MS)
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["throughput"], hour_ago)
        return pb.Throughput(**dict(row.items())) if row is not None else pb.Throughput()

    async def stored_bytes(self) -> tuple[int, int]:
        """Return the bytes of all instances and of all results, estimated where they are many."""
        async with connection(self._pool) as borrowed:
            pages = await borrowed.fetchrow(QUERIES["table_pages"])
            shares = [_share(count) for count in pages.values()] if pages is not None else []
            row = await borrowed.fetchrow(QUERIES["stored_bytes"], *shares)
        return (row["instance_bytes"], row["result_bytes"]) if row is not None else (0, 0)

    async def server_version(self) -> str:
        """Return the version of PostgreSQL, e.g. "16.2"."""
        async with connection(self._pool) as borrowed:
            text: str = await borrowed.fetchval(QUERIES["server_version"])
        return text.split()[0]


def first_id_of(time_ms: int) -> str:
    """Return the least UUIDv7 of a millisecond since 1970 (RFC 9562 section 5.7)."""
    digits = f"{time_ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000000"


def _share(pages: int) -> float:
    return min(100.0, 100.0 * _SAMPLED_PAGES / max(pages, 1))

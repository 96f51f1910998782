"""Rounds, their turns and what they find, as rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import asyncpg

from services.coordinator.storage.rounds import (
    Collection,
    Damage,
    DamageKind,
    NamedBlob,
    Scrub,
    ScrubKind,
)
from services.runtime.blob_ref import BlobRef
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.storage")
MAX_DAMAGES: Final = 1000
_PREFETCH: Final = 2000
_TO_READ: Final = {
    ScrubKind.INSTANCE: "instances_to_read",
    ScrubKind.CONFLICT: "conflicts_to_read",
    ScrubKind.RESULT: "results_to_read",
}


class StorageStore:
    """Reads and changes the rows of this package, and reads which blobs are named.

    Args:
        pool: Pool of the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take_turn(self, task: str, every: timedelta) -> bool:
        """Return whether this coordinator begins a task now; the first turn comes after a while."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["plan_task"], task, every)
            return bool(await borrowed.fetchval(QUERIES["take_turn"], task, every))

    @asynccontextmanager
    async def alone(self, task: str) -> AsyncIterator[bool]:
        """Yield whether nobody else is at a task, and keep others from it meanwhile."""
        async with connection(self._pool) as borrowed:
            taken = bool(await borrowed.fetchval(QUERIES["try_lock"], task))
            try:
                yield taken
            finally:
                if taken and not borrowed.is_closed():
                    await borrowed.execute(QUERIES["unlock"], task)

    @asynccontextmanager
    async def named_hashes(self, first: str) -> AsyncIterator[AsyncIterator[str]]:
        """Yield every hash that a row names, in order, those before `first` left out."""
        async with transaction(self._pool) as borrowed:
            await borrowed.execute("SET LOCAL statement_timeout TO 0")
            yield _hashes(borrowed, first)

    async def named_among(self, sha256s: Sequence[str]) -> set[str]:
        """Return which of some hashes a row names now."""
        async with transaction(self._pool) as borrowed:
            await borrowed.execute("SET LOCAL statement_timeout TO 0")
            rows = await borrowed.fetch(QUERIES["named_among"], sha256s)
        return {row["sha256"] for row in rows}

    async def begin_collection(self, *, dry_run: bool) -> Collection:
        """Make a new round."""
        return Collection(**await self._row("begin_collection", new_id(), dry_run))

    async def latest_collection(self) -> Collection | None:
        """Return the round that began last."""
        row = await self._row("latest_collection")
        return Collection(**row) if row else None

    async def save_collection(self, round_: Collection) -> None:
        """Keep how far a round has come."""
        await self._execute(
            "save_collection",
            round_.collection_id,
            round_.prefix,
            round_.examined_count,
            round_.set_aside_count,
            round_.set_aside_bytes,
            round_.restored_count,
            round_.deleted_count,
            round_.deleted_bytes,
            round_.young_count,
        )

    async def end_collection(self, round_: Collection, *, failed: bool = False) -> None:
        """Keep that a round is over."""
        await self._execute("end_collection", round_.collection_id, failed)

    async def begin_scrub(self, rate_bytes: int) -> Scrub:
        """Make a new round."""
        return _scrub(await self._row("begin_scrub", new_id(), rate_bytes))

    async def latest_scrub(self) -> Scrub | None:
        """Return the round that began last."""
        row = await self._row("latest_scrub")
        return _scrub(row) if row else None

    async def save_scrub(self, round_: Scrub) -> None:
        """Keep how far a round has come."""
        await self._execute(
            "save_scrub",
            round_.scrub_id,
            round_.kind.value,
            round_.last_key,
            round_.checked_count,
            round_.checked_bytes,
            round_.corrupt_count,
            round_.missing_count,
        )

    async def end_scrub(self, round_: Scrub) -> None:
        """Keep that a round is over."""
        await self._execute("end_scrub", round_.scrub_id)

    async def to_read(self, kind: ScrubKind, last_key: str, limit: int) -> list[NamedBlob]:
        """Return blobs that rows name, after one of them."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES[_TO_READ[kind]], last_key, limit)
        return [_named_blob(row) for row in rows]

    async def note_damage(self, borrowed: Connection, found: NamedBlob, kind: DamageKind) -> bool:
        """Keep that a blob is not what it was; whether that is news."""
        row = await borrowed.fetchval(
            QUERIES["note_damage"],
            found.study_id,
            found.blob.sha256,
            found.instance_id,
            kind.value,
        )
        return bool(row)

    async def damaged_among(self, sha256s: Sequence[str]) -> set[str]:
        """Return which of some hashes are not as they were."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["damaged_among"], sha256s)
        return {row["sha256"] for row in rows}

    async def forget_damage(self, found: NamedBlob) -> None:
        """Keep that a blob is whole."""
        await self._execute("forget_damage", found.study_id, found.blob.sha256)

    async def damages(self) -> list[Damage]:
        """Return what is not as it was, the latest found first."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["damages"], MAX_DAMAGES)
        return [Damage(**{**row, "kind": DamageKind(row["kind"])}) for row in rows]

    async def count_damage(self) -> int:
        """Return how many blobs are not as they were."""
        async with connection(self._pool) as borrowed:
            return int(await borrowed.fetchval(QUERIES["count_damage"]) or 0)

    async def _row(self, query: str, *values: Any) -> dict[str, Any]:
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES[query], *values)
        return dict(row.items()) if row is not None else {}

    async def _execute(self, query: str, *values: Any) -> None:
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES[query], *values)


async def forget_study(borrowed: Connection, study_id: str) -> None:
    """Forget what was found of a study that is deleted; see ``retention.deletions.Forget``."""
    await borrowed.execute(QUERIES["forget_study"], study_id)


async def _hashes(borrowed: Connection, first: str) -> AsyncIterator[str]:
    async for row in borrowed.cursor(QUERIES["named_hashes"], first, prefetch=_PREFETCH):
        yield row["sha256"]


def _scrub(row: dict[str, Any]) -> Scrub:
    return Scrub(**{**row, "kind": ScrubKind(row["kind"])})


def _named_blob(row: asyncpg.Record) -> NamedBlob:
    blob = BlobRef(row["sha256"], row["size_bytes"], row["media_type"])
    return NamedBlob(row["key"], row["study_id"], row["instance_id"], blob)

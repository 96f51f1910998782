"""Collects bytes that nothing names.

What is garbage is set aside first and deleted in a later round. See the decision on blob garbage
in ``docs/adr`` for why that loses nothing, whoever puts the same bytes meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Final

from services.coordinator.storage.metrics import DELETED_BYTES, RESTORED, SET_ASIDE_BYTES
from services.coordinator.storage.rounds import Collection
from services.coordinator.storage.store import StorageStore
from services.runtime.blob_inventory import PREFIXES, AsideBlob, BlobInventory, StoredBlob

TASK: Final = "collect"
_BATCH: Final = 512


class Collector:
    """Does one round at a time.

    Args:
        store: Knows what is named.
        inventory: Knows what is stored.
        grace: Bytes younger than this are never judged.
        limit: Most blobs that one round sets aside.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        store: StorageStore,
        inventory: BlobInventory,
        grace: timedelta,
        limit: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._inventory = inventory
        self._grace_s = grace.total_seconds()
        self._limit = limit
        self._clock = clock

    async def collect(self, round_: Collection) -> None:
        """Do a round from where it is, and keep how far it comes.

        Raises:
            DependencyUnavailableError: The database or the blob store cannot be reached.
        """
        horizon = await self._horizon()
        await self._look_aside(round_, horizon)
        async with self._store.named_hashes(round_.prefix) as hashes:
            named = _Named(hashes)
            for prefix in PREFIXES[PREFIXES.index(round_.prefix) :]:
                if round_.set_aside_count >= self._limit:
                    break
                round_.prefix = prefix
                if prefix.endswith("0"):
                    await self._store.save_collection(round_)
                await self._look_at(round_, prefix, named, horizon)
        await self._store.save_collection(round_)

    async def _horizon(self) -> float:
        """Return the moment before which what was put and is not named is garbage."""
        confirmed = await self._inventory.staged_until()
        now = self._clock()
        return min(now, now if confirmed is None else confirmed) - self._grace_s

    async def _look_aside(self, round_: Collection, horizon: float) -> None:
        batch: list[AsideBlob] = []
        async for blob in self._inventory.aside():
            batch.append(blob)
            if len(batch) == _BATCH:
                await self._settle_aside(round_, batch, horizon)
                batch = []
        await self._settle_aside(round_, batch, horizon)

    async def _settle_aside(
        self, round_: Collection, batch: Sequence[AsideBlob], horizon: float
    ) -> None:
        named = await self._store.named_among([blob.sha256 for blob in batch]) if batch else set()
        for blob in batch:
            if blob.sha256 in named:
                await self._restore(round_, blob)
            elif blob.aside_time < horizon:
                await self._delete(round_, blob)

    async def _look_at(
        self, round_: Collection, prefix: str, named: _Named, horizon: float
    ) -> None:
        garbage: list[StoredBlob] = []
        async for blob in self._inventory.stored(prefix):
            round_.examined_count += 1
            if await named.holds(blob.sha256):
                continue
            if blob.put_time >= horizon:
                round_.young_count += 1
                continue
            garbage.append(blob)
            if len(garbage) == _BATCH:
                await self._set_aside(round_, garbage, horizon)
                garbage = []
        await self._set_aside(round_, garbage, horizon)

    async def _set_aside(
        self, round_: Collection, garbage: Sequence[StoredBlob], horizon: float
    ) -> None:
        garbage = garbage[: max(0, self._limit - round_.set_aside_count)]
        if not garbage:
            return
        moved = await self._move(round_, garbage)
        for blob in [blob for blob in moved if blob.put_time >= horizon]:
            # Put again since it was listed: somebody is about to name it.
            await self._inventory.put_back(blob)
            round_.young_count += 1
        moved = [blob for blob in moved if blob.put_time < horizon]
        round_.set_aside_count += len(moved)
        round_.set_aside_bytes += sum(blob.size_bytes for blob in moved)
        if round_.dry_run:
            return
        for blob in await self._named_since(moved):
            await self._restore(round_, blob)
        SET_ASIDE_BYTES.inc(sum(blob.size_bytes for blob in moved))

    async def _move(self, round_: Collection, garbage: Sequence[StoredBlob]) -> list[AsideBlob]:
        if round_.dry_run:
            now = self._clock()
            return [AsideBlob(b.sha256, b.size_bytes, now, b.put_time) for b in garbage]
        return await self._inventory.set_aside([blob.sha256 for blob in garbage])

    async def _named_since(self, moved: Sequence[AsideBlob]) -> list[AsideBlob]:
        named = await self._store.named_among([aside.sha256 for aside in moved])
        return [aside for aside in moved if aside.sha256 in named]

    async def _restore(self, round_: Collection, blob: AsideBlob) -> None:
        round_.restored_count += 1
        if not round_.dry_run:
            await self._inventory.put_back(blob)
            RESTORED.inc()

    async def _delete(self, round_: Collection, blob: AsideBlob) -> None:
        round_.deleted_count += 1
        round_.deleted_bytes += blob.size_bytes
        if not round_.dry_run:
            await self._inventory.discard(blob)
            DELETED_BYTES.inc(blob.size_bytes)


class _Named:
    """Whether hashes are among others, both asked and given in order."""

    def __init__(self, hashes: AsyncIterator[str]) -> None:
        self._hashes = hashes
        self._current: str | None = ""

    async def holds(self, sha256: str) -> bool:
        while self._current is not None and self._current < sha256:
            self._current = await anext(self._hashes, None)
        return self._current == sha256

"""Reads everything that the archive names again and compares it with its hashes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.coordinator.events.outbox import EventDraft, EventType, append_event
from services.coordinator.storage.metrics import DAMAGE_FOUND, SCRUBBED_BYTES
from services.coordinator.storage.rounds import DamageKind, NamedBlob, Scrub
from services.coordinator.storage.store import StorageStore
from services.runtime import logs
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, BlobNotFoundError
from services.runtime.postgres import Pool, transaction

TASK: Final = "scrub"
DAMAGED: Final = "storage.blob_damaged"
_PAGE: Final = 200
_CHUNK_BYTES: Final = 1 << 20


class Scrubber:
    """Does one round at a time.

    Args:
        pool: Pool of the database, for events.
        store: Knows what is named.
        blobs: What is read.
    """

    def __init__(self, pool: Pool, store: StorageStore, blobs: BlobStore) -> None:
        self._pool = pool
        self._store = store
        self._blobs = blobs

    async def scrub(self, round_: Scrub) -> None:
        """Do a round from where it is, and keep how far it comes.

        Raises:
            DependencyUnavailableError: The database or the blob store cannot be reached.
        """
        pace = _Pace(round_.rate_bytes)
        while True:
            page = await self._store.to_read(round_.kind, round_.last_key, _PAGE)
            await self._read_page(round_, page, pace)
            if len(page) < _PAGE:
                following = round_.kind.following
                if following is None:
                    break
                round_.kind, round_.last_key = following, ""
            await self._store.save_scrub(round_)
        await self._store.save_scrub(round_)

    async def _read_page(self, round_: Scrub, page: Sequence[NamedBlob], pace: _Pace) -> None:
        damaged = await self._store.damaged_among([found.blob.sha256 for found in page])
        for found in page:
            damage = await self._damage(found.blob, pace)
            if damage is None:
                if found.blob.sha256 in damaged:
                    await self._store.forget_damage(found)
            elif await self._is_named(found):
                await self._note(found, damage)
                round_.corrupt_count += damage is DamageKind.CORRUPT
                round_.missing_count += damage is DamageKind.MISSING
            round_.checked_count += 1
            round_.checked_bytes += found.blob.size_bytes
            round_.last_key = found.key

    async def _damage(self, blob: BlobRef, pace: _Pace) -> DamageKind | None:
        read = 0
        try:
            async for chunk in self._blobs.stream(blob, chunk_bytes=_CHUNK_BYTES):
                read += len(chunk)
                SCRUBBED_BYTES.inc(len(chunk))
                await pace.spend(len(chunk))
        except BlobNotFoundError:
            return DamageKind.MISSING
        except (BlobCorruptError, OSError):
            # What the disk cannot read is as lost as what it reads wrongly.
            return DamageKind.CORRUPT
        return None if read == blob.size_bytes else DamageKind.CORRUPT

    async def _is_named(self, found: NamedBlob) -> bool:
        # A study may have been deleted, and its bytes collected, since the page was read.
        return found.blob.sha256 in await self._store.named_among([found.blob.sha256])

    async def _note(self, found: NamedBlob, kind: DamageKind) -> None:
        logs.get_logger().error(DAMAGED, sha256=found.blob.sha256, task=kind.value)
        async with transaction(self._pool) as connection:
            if not await self._store.note_damage(connection, found, kind):
                return
            draft = EventDraft(EventType.BLOB_DAMAGED, found.study_id)
            await append_event(connection, draft)
        DAMAGE_FOUND.labels(kind.value).inc()


class _Pace:
    """Sleeps so that no more bytes are read in a second than allowed."""

    def __init__(self, rate_bytes: int) -> None:
        self._rate_bytes = rate_bytes
        self._next = 0.0

    async def spend(self, size_bytes: int) -> None:
        if not self._rate_bytes:
            await asyncio.sleep(0)
            return
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + size_bytes / self._rate_bytes
        await asyncio.sleep(self._next - now)

"""Bytes that wait here until they have been sent on as chunks."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from google.protobuf.message import DecodeError

from gateway.journal import Journal
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.runtime.blob_inventory import PREFIXES, inventory_of
from services.runtime.blob_ref import BlobRef
from services.runtime.local_blobs import LocalBlobs

_MEDIA_TYPE: Final = "application/dicom"


class Spool:
    """Deletes a blob once nobody waits to send it.

    The count of a blob that is in the journal starts at nothing after a restart. An instance with
    the same bytes that is sent at that moment then finds them gone, and its sender tries again.

    Args:
        blobs: The gateway's own blob store.
    """

    def __init__(self, blobs: LocalBlobs) -> None:
        self._blobs = blobs
        self._waiting: Counter[str] = Counter()

    async def sweep(self, journal: Journal) -> int:
        """Delete what a crash left behind: bytes that were promised to nobody; how many.

        Called before anything is received.
        """
        waiting = await asyncio.to_thread(_hashes, journal)
        swept = 0
        inventory = inventory_of(self._blobs)
        for prefix in PREFIXES:
            async for blob in inventory.stored(prefix):
                if blob.sha256 not in waiting:
                    await self._blobs.delete(BlobRef(blob.sha256, blob.size_bytes, _MEDIA_TYPE))
                    swept += 1
        return swept

    def hold(self, ref: BlobRef) -> None:
        """Note that somebody is going to send a blob."""
        self._waiting[ref.sha256] += 1

    async def release(self, ref: BlobRef) -> None:
        """Note that it has been answered."""
        self._waiting[ref.sha256] -= 1
        if self._waiting[ref.sha256] <= 0:
            del self._waiting[ref.sha256]
            await self._blobs.delete(ref)


def _hashes(journal: Journal) -> set[str]:
    found: set[str] = set()
    for record in journal.waiting():
        try:
            instance = pb.IngestRequest.FromString(record).instance
        except DecodeError:
            continue
        content = instance.WhichOneof("content")
        if content is not None:
            found.add(getattr(instance, content).sha256)
    return found

"""Bytes that wait here until they have been sent on as chunks."""

from __future__ import annotations

from collections import Counter

from services.runtime.blob_ref import BlobRef
from services.runtime.local_blobs import LocalBlobs


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

    def hold(self, ref: BlobRef) -> None:
        """Note that somebody is going to send a blob."""
        self._waiting[ref.sha256] += 1

    async def release(self, ref: BlobRef) -> None:
        """Note that it has been answered."""
        self._waiting[ref.sha256] -= 1
        if self._waiting[ref.sha256] <= 0:
            del self._waiting[ref.sha256]
            await self._blobs.delete(ref)

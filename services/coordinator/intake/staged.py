"""Whether blobs that were said to be staged are there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from services.coordinator.intake.rejection import RejectedError, RejectionReason
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.local_blobs import LocalBlobs

_FEW: Final = 16


class StagedBlobs(Protocol):
    """Knows which blobs are there."""

    async def missing(self, refs: Sequence[BlobRef]) -> dict[BlobRef, RejectedError]:
        """Return the blobs that are not there with their full size, and why."""
        ...


class StoredBlobs:
    """Looks into a blob store; a local one is looked at in one go."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._folder = str(blobs.folder) if isinstance(blobs, LocalBlobs) else ""

    async def missing(self, refs: Sequence[BlobRef]) -> dict[BlobRef, RejectedError]:
        """See ``StagedBlobs``."""
        distinct = set(refs)
        if not distinct:
            return {}
        if self._folder:
            # A thread costs more than looking at a few files that were just written.
            few = len(distinct) <= _FEW
            found = self._local(distinct) if few else await asyncio.to_thread(self._local, distinct)
        else:
            present = await asyncio.gather(*(self._blobs.exists(ref) for ref in distinct))
            found = {ref for ref, there in zip(distinct, present, strict=True) if there}
        return {ref: _not_there() for ref in distinct - found}

    def _local(self, refs: Iterable[BlobRef]) -> set[BlobRef]:
        return {ref for ref in refs if self._has_size(ref)}

    def _has_size(self, ref: BlobRef) -> bool:
        try:
            # Path and its parts would cost three times the call.
            found = os.stat(f"{self._folder}/{ref.sha256[:2]}/{ref.sha256}")  # noqa: PTH116
        except FileNotFoundError:
            return False
        return found.st_size == ref.size_bytes


def _not_there() -> RejectedError:
    rule = "in the blob store, with that size"
    return RejectedError("staged", rule, RejectionReason.BLOB_NOT_FOUND)

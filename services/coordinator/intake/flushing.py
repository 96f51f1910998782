"""Bytes that a gateway of this machine wrote and left to us to flush.

Flushing takes about as long as writing the row does, so both are done at once and the commit waits
for the slower.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.coordinator.intake.rejection import RejectedError, RejectionReason
from services.runtime import logs
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.local_blobs import LocalBlobs
from services.runtime.local_files import drop_unflushed, flush_blob, flush_blob_folder

NOT_FLUSHED: Final = "blob.not_flushed"
_THREADS: Final = 32

Flush = asyncio.Future[RejectedError | None]
"""Done when bytes are durable, with why they are not."""


class UnflushedError(Exception):
    """Something in a batch could not be made durable."""


class Flusher:
    """Flushes files and their folders, each in a thread of its own.

    Args:
        blobs: Where they lie.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs if isinstance(blobs, LocalBlobs) else None
        self._threads = ThreadPoolExecutor(_THREADS, "flush")

    def start(self, ref: BlobRef) -> Flush:
        """Begin to flush a blob."""
        return asyncio.ensure_future(self._flush(ref))

    async def _flush(self, ref: BlobRef) -> RejectedError | None:
        if self._blobs is None:
            return RejectedError("written", "not on this blob store")
        root = self._blobs.folder
        loop = asyncio.get_running_loop()
        works: tuple[Callable[[], None], ...] = (
            lambda: flush_blob(root, ref),
            lambda: flush_blob_folder(root, ref),
        )
        jobs = [loop.run_in_executor(self._threads, work) for work in works]
        failed = [e for e in await asyncio.gather(*jobs, return_exceptions=True) if e is not None]
        if not failed:
            return None
        if isinstance(failed[0], FileNotFoundError):
            rule = "in the blob store, with that size"
            return RejectedError("written", rule, RejectionReason.BLOB_NOT_FOUND)
        logs.get_logger().error(NOT_FLUSHED, sha256=ref.sha256, **logs.failure(failed[0]))
        await loop.run_in_executor(self._threads, drop_unflushed, root, ref)
        return RejectedError("written", "flushed to disk", RejectionReason.DEPENDENCY_UNAVAILABLE)


async def all_flushed(flushes: list[Flush]) -> None:
    """Wait for some flushes.

    Raises:
        UnflushedError: One of them failed.
    """
    # Another batch may wait for the same ones after this one was cancelled.
    results = await asyncio.shield(asyncio.gather(*flushes))
    if any(results):
        raise UnflushedError

"""Bytes of the archive in chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, BlobNotFoundError

CHUNK_BYTES: Final = 1 << 20


async def blob_chunks(blobs: BlobStore, ref: BlobRef, offset: int) -> AsyncGenerator[bytes, None]:
    """Yield a blob in chunks of at most 1 MiB.

    Args:
        blobs: Where it is kept.
        ref: Its name; the index says that it is stored.
        offset: Byte to begin with; only from zero are the bytes checked against the hash.

    Raises:
        BlobCorruptError: Other bytes than the hash promises, or none.
    """
    try:
        if offset == 0:
            async for chunk in blobs.stream(ref, chunk_bytes=CHUNK_BYTES):
                yield chunk
            return
        while offset < ref.size_bytes:
            chunk = await blobs.read_range(ref, offset, min(CHUNK_BYTES, ref.size_bytes - offset))
            if not chunk:
                raise BlobCorruptError(ref.sha256)
            offset += len(chunk)
            yield chunk
    except BlobNotFoundError:
        # Its row says that it was durable: that is a loss, not a wrong question.
        raise BlobCorruptError(ref.sha256) from None

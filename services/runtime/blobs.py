"""Port to the blob store: immutable bytes under the SHA-256 of their content."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from services.runtime.blob_ref import BlobRef
from services.runtime.local_blobs import LocalBlobs

MAX_READ_BYTES = 256 * 1024 * 1024


class BlobWriter(Protocol):
    """Takes the bytes of one blob, in order."""

    async def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StorageFullError: No room.
        """
        ...

    async def commit(self) -> BlobRef:
        """Make the blob durable under its hash and return its name."""
        ...


class BlobStore(Protocol):
    """Keeps blobs. Whatever returns a `BlobRef` has made the bytes durable before."""

    async def put_bytes(self, data: bytes, media_type: str) -> BlobRef:
        """Store bytes that are in memory.

        Raises:
            StorageFullError: No room.
        """
        ...

    async def put_file(self, path: Path, media_type: str) -> BlobRef:
        """Store the content of a file.

        Raises:
            StorageFullError: No room.
        """
        ...

    def stage(self, media_type: str) -> AbstractAsyncContextManager[BlobWriter]:
        """Return a writer for bytes that come bit by bit; dropped unless committed."""
        ...

    async def read(self, ref: BlobRef, *, limit_bytes: int = MAX_READ_BYTES) -> bytes:
        """Return all bytes, checked against the hash.

        Raises:
            BlobNotFoundError: Not stored.
            BlobCorruptError: Other bytes than the hash promises.
            LimitExceededError: More than `limit_bytes`.
        """
        ...

    async def read_range(self, ref: BlobRef, start: int, length: int) -> bytes:
        """Return some bytes, unchecked; fewer at the end.

        Raises:
            BlobNotFoundError: Not stored.
        """
        ...

    def stream(self, ref: BlobRef, *, chunk_bytes: int = 1 << 20) -> AsyncIterator[bytes]:
        """Yield all bytes in chunks, checked against the hash at the end.

        Raises:
            BlobNotFoundError: Not stored.
            BlobCorruptError: After the last chunk: other bytes than the hash promises.
        """
        ...

    def local_path(self, ref: BlobRef) -> Path | None:
        """Return the file that holds the bytes, never to be written to; None when not local."""
        ...

    async def copy_to(self, ref: BlobRef, target: Path) -> None:
        """Write the bytes, checked against the hash, to a file that does not exist.

        Raises:
            BlobNotFoundError: Not stored.
            BlobCorruptError: Other bytes than the hash promises; no file is left.
        """
        ...

    async def exists(self, ref: BlobRef) -> bool:
        """Return whether the blob is stored, with its full size."""
        ...

    async def delete(self, ref: BlobRef) -> None:
        """Forget the blob; nothing happens when it is not stored."""
        ...


def open_blobs(url: str, *, free_bytes: int = 1 << 30) -> BlobStore:
    """Return the store at a URL.

    Args:
        url: ``file:///folder``, or ``s3://``, ``gs://``, ``az://`` with a bucket and a prefix.
        free_bytes: Room that stays free on a local disk.

    Raises:
        ValueError: The URL names no kind of store that is known.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/") and not parts.netloc:
        return LocalBlobs(Path(unquote(parts.path)), free_bytes=free_bytes)
    if parts.scheme in ("s3", "gs", "az") and parts.netloc:
        from services.runtime.object_blobs import ObjectBlobs

        return ObjectBlobs.from_url(url)
    raise ValueError("the blob store's URL is none of file:///folder, s3://, gs://, az://")

"""Blob store in a folder of this machine."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from services.runtime.blob_ref import BlobRef
from services.runtime.errors import BlobCorruptError, BlobNotFoundError, LimitExceededError
from services.runtime.local_files import (
    StagedFile,
    blob_path,
    check_room,
    drop_unflushed,
    flush_blob,
    flush_blob_folder,
    prepare,
    sweep_incoming,
    write_blob,
)
from services.runtime.metrics import came_out

_CHUNK: Final = 1 << 20
_ABANDONED_S: Final = 24 * 3600.0


class LocalBlobWriter:
    """Writes one blob without holding up the event loop."""

    def __init__(self, staged: StagedFile) -> None:
        self._staged = staged

    async def write(self, chunk: bytes) -> None:
        """See ``BlobWriter``."""
        await asyncio.to_thread(self._staged.write, chunk)

    async def commit(self) -> BlobRef:
        """See ``BlobWriter``."""
        return await asyncio.to_thread(self._staged.commit)


class LocalBlobs:
    """A ``BlobStore`` in a folder; several processes may use the same one.

    Args:
        root: The folder, made if absent.
        free_bytes: Room that stays free on its disk.
    """

    def __init__(self, root: Path, *, free_bytes: int = 1 << 30) -> None:
        self._root = root
        self._free_bytes = free_bytes
        prepare(root)
        sweep_incoming(root, _ABANDONED_S)

    @property
    def folder(self) -> Path:
        """Where the blobs lie."""
        return self._root

    @property
    def free_bytes(self) -> int:
        """Room that stays free on its disk."""
        return self._free_bytes

    def stage_sync(self, chunks: Iterable[bytes | memoryview], media_type: str) -> BlobRef:
        """Write a blob durably, from any thread or process.

        Raises:
            StorageFullError: No room.
        """
        check_room(self._root, self._free_bytes)
        return write_blob(self._root, chunks, media_type)

    def staged_file(self, media_type: str) -> StagedFile:
        """Return a blocking writer, for threads that get bytes bit by bit.

        Raises:
            StorageFullError: No room.
        """
        check_room(self._root, self._free_bytes)
        return StagedFile(self._root, media_type, self._free_bytes)

    async def put_bytes(self, data: bytes, media_type: str) -> BlobRef:
        """See ``BlobStore``."""
        return await asyncio.to_thread(self.stage_sync, (data,), media_type)

    async def put_file(self, path: Path, media_type: str) -> BlobRef:
        """See ``BlobStore``."""
        return await asyncio.to_thread(self.stage_sync, _chunks(path), media_type)

    @asynccontextmanager
    async def stage(self, media_type: str) -> AsyncIterator[LocalBlobWriter]:
        """See ``BlobStore``."""
        staged = await asyncio.to_thread(self.staged_file, media_type)
        try:
            yield LocalBlobWriter(staged)
        finally:
            staged.close()

    async def flush(self, ref: BlobRef) -> None:
        """Make a blob durable that was only placed; one that cannot be is taken away.

        Raises:
            OSError: The disk failed.
        """
        try:
            await asyncio.to_thread(flush_blob, self._root, ref)
            await asyncio.to_thread(flush_blob_folder, self._root, ref)
        except OSError:
            await asyncio.to_thread(drop_unflushed, self._root, ref)
            raise

    async def read(self, ref: BlobRef, *, limit_bytes: int = 256 * _CHUNK) -> bytes:
        """See ``BlobStore``."""
        if ref.size_bytes > limit_bytes:
            raise LimitExceededError("blob_bytes")
        path = blob_path(self._root, ref.sha256)
        return await asyncio.to_thread(lambda: b"".join(verified_chunks(path, ref, _CHUNK)))

    async def read_range(self, ref: BlobRef, start: int, length: int) -> bytes:
        """See ``BlobStore``."""
        return await asyncio.to_thread(
            _read_range, blob_path(self._root, ref.sha256), ref, start, length
        )

    async def stream(self, ref: BlobRef, *, chunk_bytes: int = _CHUNK) -> AsyncIterator[bytes]:
        """See ``BlobStore``."""
        chunks = verified_chunks(blob_path(self._root, ref.sha256), ref, chunk_bytes)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    def local_path(self, ref: BlobRef) -> Path | None:
        """See ``BlobStore``."""
        return blob_path(self._root, ref.sha256)

    async def copy_to(self, ref: BlobRef, target: Path) -> None:
        """See ``BlobStore``."""
        await asyncio.to_thread(_copy_checked, blob_path(self._root, ref.sha256), ref, target)

    async def exists(self, ref: BlobRef) -> bool:
        """See ``BlobStore``."""
        try:
            status = await asyncio.to_thread(blob_path(self._root, ref.sha256).stat)
        except FileNotFoundError:
            return False
        return status.st_size == ref.size_bytes

    async def delete(self, ref: BlobRef) -> None:
        """See ``BlobStore``."""
        path = blob_path(self._root, ref.sha256)
        await asyncio.to_thread(path.unlink, missing_ok=True)


def verified_chunks(path: Path, ref: BlobRef, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the content of a file that must be the blob's.

    Raises:
        BlobNotFoundError: No such file.
        BlobCorruptError: At the end: other bytes than the hash promises.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(chunk_bytes):
                digest.update(chunk)
                yield chunk
    except FileNotFoundError:
        raise BlobNotFoundError(ref.sha256) from None
    if digest.hexdigest() != ref.sha256:
        raise BlobCorruptError(ref.sha256)
    came_out(ref.size_bytes)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _read_range(path: Path, ref: BlobRef, start: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            part = file.read(length)
    except FileNotFoundError:
        raise BlobNotFoundError(ref.sha256) from None
    came_out(len(part))
    return part


def _copy_checked(path: Path, ref: BlobRef, target: Path) -> None:
    try:
        with target.open("xb") as file:
            file.writelines(verified_chunks(path, ref, _CHUNK))
    except (BlobNotFoundError, BlobCorruptError):
        target.unlink()
        raise

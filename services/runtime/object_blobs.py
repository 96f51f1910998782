"""Blob store in an object store: S3, Google Cloud Storage or Azure."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, Final, cast

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore, from_url

from services.runtime.blob_ref import BlobRef
from services.runtime.errors import (
    BlobCorruptError,
    BlobNotFoundError,
    DependencyUnavailableError,
    LimitExceededError,
)
from services.runtime.metrics import came_out, went_in

_CHUNK: Final = 1 << 20


class ObjectBlobWriter:
    """Gathers one blob in a file of this machine: its name is known only at the end."""

    def __init__(self, file: IO[bytes], store: ObjectBlobs, media_type: str) -> None:
        self._file = file
        self._store = store
        self._media_type = media_type
        self._hash = hashlib.sha256()
        self._size = 0

    async def write(self, chunk: bytes) -> None:
        """See ``BlobWriter``."""
        self._hash.update(chunk)
        self._size += len(chunk)
        await asyncio.to_thread(self._file.write, chunk)

    async def commit(self) -> BlobRef:
        """See ``BlobWriter``."""
        ref = BlobRef(self._hash.hexdigest(), self._size, self._media_type)
        await asyncio.to_thread(self._file.flush)
        await self._store.upload(ref, Path(self._file.name))
        return ref


class ObjectBlobs:
    """A ``BlobStore`` over obstore. The store accepts an object whole or not at all."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def from_url(cls, url: str) -> ObjectBlobs:
        """Return the store at a URL; credentials come from the store's usual variables."""
        return cls(from_url(url))

    @property
    def objects(self) -> ObjectStore:
        """The store itself."""
        return self._store

    async def upload(self, ref: BlobRef, source: Path | bytes) -> None:
        """Put bytes under their hash; they are not checked here."""
        with _store_errors(ref):
            await obstore.put_async(self._store, _name(ref), source)
        went_in(ref.size_bytes)

    async def put_bytes(self, data: bytes, media_type: str) -> BlobRef:
        """See ``BlobStore``."""
        ref = BlobRef(hashlib.sha256(data).hexdigest(), len(data), media_type)
        await self.upload(ref, data)
        return ref

    async def put_file(self, path: Path, media_type: str) -> BlobRef:
        """See ``BlobStore``."""
        ref = await asyncio.to_thread(_file_ref, path, media_type)
        await self.upload(ref, path)
        return ref

    @asynccontextmanager
    async def stage(self, media_type: str) -> AsyncIterator[ObjectBlobWriter]:
        """See ``BlobStore``."""
        file = await asyncio.to_thread(tempfile.NamedTemporaryFile)
        try:
            yield ObjectBlobWriter(cast("IO[bytes]", file), self, media_type)
        finally:
            file.close()

    async def read(self, ref: BlobRef, *, limit_bytes: int = 256 * _CHUNK) -> bytes:
        """See ``BlobStore``."""
        if ref.size_bytes > limit_bytes:
            raise LimitExceededError("blob_bytes")
        return b"".join([chunk async for chunk in self.stream(ref)])

    async def read_range(self, ref: BlobRef, start: int, length: int) -> bytes:
        """See ``BlobStore``."""
        if start >= ref.size_bytes:
            return b""
        end = min(start + length, ref.size_bytes)
        with _store_errors(ref):
            part = await obstore.get_range_async(self._store, _name(ref), start=start, end=end)
        came_out(len(part))
        return bytes(part)

    async def stream(self, ref: BlobRef, *, chunk_bytes: int = _CHUNK) -> AsyncIterator[bytes]:
        """See ``BlobStore``."""
        digest = hashlib.sha256()
        with _store_errors(ref):
            answer = await obstore.get_async(self._store, _name(ref))
            async for chunk in answer.stream(min_chunk_size=chunk_bytes):
                digest.update(chunk)
                yield bytes(chunk)
        if digest.hexdigest() != ref.sha256:
            raise BlobCorruptError(ref.sha256)
        came_out(ref.size_bytes)

    def local_path(self, ref: BlobRef) -> Path | None:
        """See ``BlobStore``: never local."""
        return None

    async def copy_to(self, ref: BlobRef, target: Path) -> None:
        """See ``BlobStore``."""
        try:
            with await asyncio.to_thread(target.open, "xb") as file:
                async for chunk in self.stream(ref):
                    await asyncio.to_thread(file.write, chunk)
        except (BlobNotFoundError, BlobCorruptError, DependencyUnavailableError):
            await asyncio.to_thread(target.unlink)
            raise

    async def exists(self, ref: BlobRef) -> bool:
        """See ``BlobStore``."""
        try:
            with _store_errors(ref):
                found = await obstore.head_async(self._store, _name(ref))
        except BlobNotFoundError:
            return False
        return found["size"] == ref.size_bytes

    async def delete(self, ref: BlobRef) -> None:
        """See ``BlobStore``."""
        with suppress(BlobNotFoundError), _store_errors(ref):
            await obstore.delete_async(self._store, _name(ref))


def _name(ref: BlobRef) -> str:
    return f"{ref.sha256[:2]}/{ref.sha256}"


@contextmanager
def _store_errors(ref: BlobRef) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotFoundError):
        raise BlobNotFoundError(ref.sha256) from None
    except BaseError:
        raise DependencyUnavailableError("blobs") from None


def _file_ref(path: Path, media_type: str) -> BlobRef:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return BlobRef(digest.hexdigest(), path.stat().st_size, media_type)

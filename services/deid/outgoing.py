"""Released objects of a stream, on disk until it is their turn to be sent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final

from services.deid.treating import MEDIA_TYPE
from services.runtime.blob_ref import BlobRef
from services.runtime.local_files import storage_errors

CHUNK_BYTES: Final = 1 << 20


class FileWriter:
    """A ``BlobWriter`` into a file that lives as long as a call.

    Args:
        file: Open for writing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    async def write(self, chunk: bytes) -> None:
        """See ``BlobWriter``."""
        await asyncio.to_thread(self._take, chunk)

    async def commit(self) -> BlobRef:
        """Return the name of the bytes; they need not be durable."""
        self._file.flush()
        return BlobRef(self._digest.hexdigest(), self._file.tell(), MEDIA_TYPE)

    def _take(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        with storage_errors():
            self._file.write(chunk)


@asynccontextmanager
async def file_writer(path: Path) -> AsyncIterator[FileWriter]:
    """Open a writer for a new file.

    Raises:
        StorageFullError: No room.
    """
    with storage_errors(), path.open("wb") as file:
        yield FileWriter(file)


async def chunks_of(path: Path) -> AsyncIterator[bytes]:
    """Yield the bytes of a file in chunks of at most 1 MiB."""
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk

"""Stored instances as files that a worker may open, checked against their hash."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final

from services.conversion.errors import ImageNotRenderableError
from services.conversion.imaging_pool import Chunk
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, BlobNotFoundError
from services.runtime.workspaces import Workspaces

_REMEMBERED: Final = 10_000
Work = Callable[[Path], AsyncGenerator[Chunk, None]]


class StoredImages:
    """Finds the file of a blob.

    Viewers ask for many frames of one instance, so a local file is hashed the first time alone;
    after that it only has to be the same file of the same size and time.

    Args:
        blobs: Where instances are stored.
        workspaces: Where those go that are not on this machine.
    """

    def __init__(self, blobs: BlobStore, workspaces: Workspaces) -> None:
        self._blobs = blobs
        self._workspaces = workspaces
        self._checked: OrderedDict[tuple[str, int, int, int], None] = OrderedDict()

    @asynccontextmanager
    async def opened(self, ref: BlobRef) -> AsyncIterator[Path]:
        """Give the file of a blob, never to be written to.

        Raises:
            BlobNotFoundError: The blob is not stored.
            BlobCorruptError: It does not have the bytes its hash promises.
        """
        local = self._blobs.local_path(ref)
        if local is not None:
            await self._check(local, ref)
            yield local
            return
        with self._workspaces.folder() as folder:
            copy = folder / "image.dcm"
            await self._blobs.copy_to(ref, copy)
            yield copy

    async def read(self, ref: BlobRef, work: Work) -> AsyncGenerator[Chunk, None]:
        """Yield what is made of a blob; its file is hashed while the work goes on.

        Args:
            ref: The blob.
            work: Begins to work on its file. Nothing of it is given out before the hash is known.

        Raises:
            BlobNotFoundError: The blob is not stored.
            BlobCorruptError: It does not have the bytes its hash promises.
        """
        local = self._blobs.local_path(ref)
        if local is None:
            async with self.opened(ref) as copy, aclosing(work(copy)) as chunks:
                async for chunk in chunks:
                    yield chunk
            return
        checking = asyncio.create_task(self._check(local, ref))
        try:
            async with aclosing(work(local)) as chunks:
                async for chunk in chunks:
                    await checking
                    yield chunk
        except ImageNotRenderableError:
            # Bytes that are lost or damaged are the better reason.
            await checking
            raise
        finally:
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)

    async def _check(self, path: Path, ref: BlobRef) -> None:
        try:
            stamp = await asyncio.to_thread(path.stat)
        except FileNotFoundError:
            raise BlobNotFoundError(ref.sha256) from None
        key = (ref.sha256, stamp.st_ino, stamp.st_size, stamp.st_mtime_ns)
        if key in self._checked:
            self._checked.move_to_end(key)
            return
        if await asyncio.to_thread(_digest, path) != ref.sha256:
            raise BlobCorruptError(ref.sha256)
        self._checked[key] = None
        while len(self._checked) > _REMEMBERED:
            self._checked.popitem(last=False)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

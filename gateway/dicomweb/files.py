"""Stored files as they are given out: whole, in part, frame by frame."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from gateway.dicomweb.pixels import EncapsulatedFrames, Layout, NativeFrames, Span, read_layout
from services.dicom.encoding import Buffer
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, BlobNotFoundError

_LAYOUTS: Final = 1024
_CHECKED_BYTES: Final = 64 << 20
"""A file up to this size is hashed before any part of it is given out."""

_T = TypeVar("_T")


class StoredFiles:
    """Reads what is stored.

    Args:
        blobs: Where instances are stored.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._layouts: OrderedDict[str, Layout] = OrderedDict()

    async def layout(self, ref: BlobRef) -> Layout:
        """Return where the frames of a file are.

        Raises:
            NoPixelsError: It has none.
            DicomError: It is broken.
            BlobNotFoundError, BlobCorruptError: Not stored any more, or damaged.
        """
        found = self._layouts.get(ref.sha256)
        if found is not None:
            self._layouts.move_to_end(ref.sha256)
            return found
        layout = await self.examined(ref, read_layout)
        self._layouts[ref.sha256] = layout
        while len(self._layouts) > _LAYOUTS:
            self._layouts.popitem(last=False)
        return layout

    async def examined(self, ref: BlobRef, look: Callable[[Buffer], _T]) -> _T:
        """Return what a function finds in a whole file, which is checked unless it is very large.

        Raises:
            BlobNotFoundError, BlobCorruptError: Not stored any more, or damaged.
        """
        path = self._blobs.local_path(ref)
        if path is None:
            content = await self._blobs.read(ref)
            return await asyncio.to_thread(look, content)

        def work() -> _T:
            with _mapped(path, ref) as pages:
                return look(pages)

        return await asyncio.to_thread(work)

    async def frame(self, ref: BlobRef, frames: NativeFrames | EncapsulatedFrames, n: int) -> bytes:
        """Return the bytes of a frame, from 0, as they are stored.

        Raises:
            BlobNotFoundError: Not stored any more.
        """
        if isinstance(frames, NativeFrames):
            span, bit = frames.span(n)
            return frames.cut(await self.part(ref, span), bit)
        return b"".join([await self.part(ref, span) for span in frames.fragments[n]])

    async def part(self, ref: BlobRef, span: Span) -> bytes:
        """Return some bytes of a file.

        Raises:
            BlobNotFoundError: Not stored any more.
        """
        return await self._blobs.read_range(ref, *span)

    def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        """Yield a whole file; one that is damaged fails at its end.

        Raises:
            BlobNotFoundError, BlobCorruptError: Not stored any more, or damaged.
        """
        return self._blobs.stream(ref)


@contextmanager
def _mapped(path: Path, ref: BlobRef) -> Iterator[memoryview]:
    try:
        with path.open("rb") as file:
            # Unmapped when the last view of it goes: a failed read keeps some in its traceback.
            pages = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (FileNotFoundError, ValueError):
        raise BlobNotFoundError(ref.sha256) from None
    if len(pages) != ref.size_bytes:
        raise BlobCorruptError(ref.sha256)
    if len(pages) <= _CHECKED_BYTES and hashlib.sha256(pages).hexdigest() != ref.sha256:
        raise BlobCorruptError(ref.sha256)
    yield pages

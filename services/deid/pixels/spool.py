"""Pixel data as it is written: in memory while it is small, else in a nameless file."""

from __future__ import annotations

import mmap
import struct
import tempfile
from types import TracebackType
from typing import Final, Self

from services.deid.encode import Encoder
from services.dicom.encoding import UNDEFINED_LENGTH
from services.dicom.walk import ITEM, PIXEL_DATA, SEQUENCE_END

_IN_MEMORY: Final = 8 << 20
_HEADER: Final = struct.Struct("<HHL")
_LONGEST_TABLED: Final = 0xFFFFFFFF


class Spool:
    """Takes bytes and gives them back as one view; memory does not grow with them."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 -- closed below

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, part: bytes | memoryview) -> None:
        """Add bytes."""
        self._file.write(part)

    def overwrite(self, offset: int, part: bytes) -> None:
        """Put bytes in place of others that were written before."""
        self._file.seek(offset)
        self._file.write(part)
        self._file.seek(0, 2)

    def view(self) -> memoryview:
        """Return all that was written; it lives on when the spool is closed."""
        if self._file.tell() <= _IN_MEMORY:
            self._file.seek(0)
            return memoryview(self._file.read())
        self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))


class Encapsulation:
    """Writes encapsulated pixel data: one fragment a frame, and where each begins (PS3.5 A.4).

    Args:
        spool: Empty.
        encoder: Of the object's encoding.
        frames: How many there will be.
    """

    def __init__(self, spool: Spool, encoder: Encoder, frames: int) -> None:
        self._spool = spool
        header = encoder.header(PIXEL_DATA, "OB", UNDEFINED_LENGTH)
        self._table = len(header) + _HEADER.size
        self._offsets: list[int] = []
        self._written = 0
        spool.write(header)
        spool.write(_item(ITEM, 4 * frames) + bytes(4 * frames))

    def add(self, frame: bytes) -> None:
        """Write an encoded frame."""
        padded = frame + b"\0" * (len(frame) % 2)
        self._offsets.append(self._written)
        self._spool.write(_item(ITEM, len(padded)))
        self._spool.write(padded)
        self._written += _HEADER.size + len(padded)

    def finish(self) -> None:
        """End it.

        Raises:
            OverflowError: It is longer than its table of offsets can say.
        """
        if self._written > _LONGEST_TABLED:
            raise OverflowError
        self._spool.write(_item(SEQUENCE_END, 0))
        self._spool.overwrite(self._table, struct.pack(f"<{len(self._offsets)}L", *self._offsets))


def _item(tag: int, length: int) -> bytes:
    return _HEADER.pack(tag >> 16, tag & 0xFFFF, length)

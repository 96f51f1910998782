"""A zip file of files on disk, made while it is read, the same bytes each time.

Nothing is compressed: DICOM files hardly shrink, and so the size is known beforehand and a
transfer that broke off goes on at any byte (PKWARE APPNOTE 6.3.10).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NARROW: Final = 0xFFFFFFFF
_MOST_ENTRIES: Final = 0xFFFF
_FLAGS: Final = 0x0008 | 0x0800
"""Sizes come behind the content; names are UTF-8."""
_FIRST_DAY: Final = 0x21
_PIECE: Final = 1 << 20


class ChangedError(Exception):
    """A file became another while it was read.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive.

    Attributes:
        path: Where it lies.
        name: What it is called in the archive.
        size: Its size in bytes.
    """

    path: Path
    name: str
    size: int

    @property
    def is_wide(self) -> bool:
        """Whether its size needs 64 bits."""
        return self.size >= _NARROW


class ZipStream:
    """The archive of some files.

    Args:
        members: The files, in order.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._names = [member.name.encode("utf-8", "surrogateescape") for member in members]

    @property
    def size(self) -> int:
        """Size of the archive in bytes."""
        content = sum(
            len(_local(member, name)) + member.size + len(_descriptor(member, 0))
            for member, name in zip(self._members, self._names, strict=True)
        )
        return content + len(self._end([0] * len(self._members)))

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield the archive from one byte on. Files before it are read too, for their checksums.

        Raises:
            ChangedError: A file has another size than before.
            OSError: A file cannot be read.
        """
        offset = 0
        for piece in self._all():
            end = offset + len(piece)
            if end > start:
                yield piece[max(0, start - offset) :]
            offset = end

    def _all(self) -> Iterator[bytes]:
        checksums = []
        for member, name in zip(self._members, self._names, strict=True):
            yield _local(member, name)
            checksum = 0
            for piece in _content(member):
                checksum = zlib.crc32(piece, checksum)
                yield piece
            yield _descriptor(member, checksum)
            checksums.append(checksum)
        yield self._end(checksums)

    def _end(self, checksums: Sequence[int]) -> bytes:
        """Return the central directory and what follows it."""
        offset, records = 0, []
        for member, name, checksum in zip(self._members, self._names, checksums, strict=True):
            records.append(_central(member, name, checksum, offset))
            offset += len(_local(member, name)) + member.size + len(_descriptor(member, 0))
        directory = b"".join(records)
        return directory + _end(len(records), len(directory), offset)


def _content(member: Member) -> Iterator[bytes]:
    left = member.size
    with member.path.open("rb") as file:
        while piece := file.read(_PIECE):
            left -= len(piece)
            if left < 0:
                break
            yield piece
    if left != 0:
        raise ChangedError(member.path)


def _local(member: Member, name: bytes) -> bytes:
    # A wide entry says so here, or its sizes behind the content would be read as narrow ones.
    extra = struct.pack("<HHQQ", 1, 16, 0, 0) if member.is_wide else b""
    size = _NARROW if member.is_wide else 0
    version = 45 if member.is_wide else 20
    head = (version, _FLAGS, 0, 0, _FIRST_DAY, 0, size, size, len(name), len(extra))
    return struct.pack("<4s5H3L2H", b"PK\x03\x04", *head) + name + extra


def _descriptor(member: Member, checksum: int) -> bytes:
    form = "<4sLQQ" if member.is_wide else "<4sLLL"
    return struct.pack(form, b"PK\x07\x08", checksum, member.size, member.size)


def _central(member: Member, name: bytes, checksum: int, offset: int) -> bytes:
    wide = struct.pack("<QQ", member.size, member.size) if member.is_wide else b""
    if offset >= _NARROW:
        wide += struct.pack("<Q", offset)
    extra = struct.pack("<HH", 1, len(wide)) + wide if wide else b""
    size, version = min(member.size, _NARROW), 45 if wide else 20
    fixed = (version, version, _FLAGS, 0, 0, _FIRST_DAY, checksum, size, size)
    rest = (len(name), len(extra), 0, 0, 0, 0, min(offset, _NARROW))
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fixed, *rest) + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    wide = b""
    if count >= _MOST_ENTRIES or size >= _NARROW or offset >= _NARROW:
        about = (44, 45, 45, 0, 0, count, count, size, offset)
        wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", *about)
        wide += struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + size, 1)
    narrow = (min(count, _MOST_ENTRIES), min(size, _NARROW), min(offset, _NARROW))
    return wide + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, narrow[0], *narrow, 0)

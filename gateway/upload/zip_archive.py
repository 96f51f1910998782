"""Reads a zip file that a stranger made (PKWARE APPNOTE 6.3.10).

Entries are read one at a time from the central directory, so that a million of them cost no more
memory than one. Nothing is written under a name of the archive, whatever it says.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_EMPTY_SIGNATURE: Final = b"PK\x05\x06"
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
_END_64_SIGNATURE: Final = b"PK\x06\x06"
_LOCATOR_SIGNATURE: Final = b"PK\x06\x07"
_MOST_COMMENT: Final = 0xFFFF
_ZIP64_EXTRA: Final = 0x0001
_ENCRYPTED: Final = 0x0001 | 0x0040
_STORED: Final = 0
_DEFLATED: Final = 8
_PIECE: Final = 1 << 20
_UNIX: Final = 3


class BadArchiveError(Exception):
    """An archive, or an entry of it, that is not taken.

    Attributes:
        rule: The rule that was broken, in words of ours; no name from the archive.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Bounds on an archive, as ``UploadSettings`` says."""

    max_entries: int
    max_inflated_bytes: int
    max_ratio: int
    ratio_from_bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder as the central directory has it.

    Attributes:
        place: Its number in the archive, from 1.
        name: Its name as it stands there; never used as the name of a file.
        flags: General purpose bit flag.
        method: Compression method.
        crc: CRC-32 of its content.
        compressed: Size in the archive.
        size: Size once inflated, as claimed.
        offset: Where its local header lies.
        mode: Mode of a Unix file; 0 where it has none.
    """

    place: int
    name: bytes
    flags: int
    method: int
    crc: int
    compressed: int
    size: int
    offset: int
    mode: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.name.endswith((b"/", b"\\"))


def looks_like_zip(start: bytes) -> bool:
    """Return whether the first bytes of a file are those of a zip file."""
    return start.startswith((LOCAL_SIGNATURE, _EMPTY_SIGNATURE))


class ZipArchive:
    """A zip file on disk.

    Args:
        path: The file.
        limits: What it may hold.

    Raises:
        BadArchiveError: No zip file, or past the limits by its own account.
    """

    def __init__(self, path: Path, limits: ArchiveLimits) -> None:
        self._file = path.open("rb")
        self._limits = limits
        try:
            self._size = os.fstat(self._file.fileno()).st_size
            self._directory_offset, self._directory_size = _directory(self._file, self._size)
            self._check()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in the order of the central directory.

        Raises:
            BadArchiveError: The directory is broken.
        """
        offset, place = self._directory_offset, 0
        end = offset + self._directory_size
        while offset < end:
            place += 1
            entry, offset = self._entry(offset, end, place)
            yield entry

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Yield what an entry holds, in pieces of at most 1 MiB.

        Raises:
            BadArchiveError: It is no plain file, not what it claims to be, or broken.
        """
        _require_plain(entry)
        start = self._start(entry)
        stored = entry.method == _STORED
        pieces = self._packed(entry, start) if stored else self._inflated(entry, start)
        size = crc = 0
        for piece in pieces:
            size += len(piece)
            if size > entry.size:
                raise BadArchiveError("an entry is larger than it claims")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != entry.size:
            raise BadArchiveError("an entry is smaller than it claims")
        if crc != entry.crc:
            raise BadArchiveError("an entry does not match its checksum")

    def _check(self) -> None:
        """Add up what the archive claims, before any of it is unpacked."""
        limits, inflated, packed = self._limits, 0, 0
        for entry in self.entries():
            if entry.place > limits.max_entries:
                raise BadArchiveError("too many entries")
            inflated += entry.size
            packed += entry.compressed + _LOCAL.size
            if inflated > limits.max_inflated_bytes:
                raise BadArchiveError("too large when inflated")
        if packed > self._size:
            # Entries that share bytes are how a small file claims to hold petabytes.
            raise BadArchiveError("entries overlap")
        if inflated > limits.ratio_from_bytes and inflated > limits.max_ratio * self._size:
            raise BadArchiveError("inflates too far")

    def _entry(self, offset: int, end: int, place: int) -> tuple[Entry, int]:
        head = self._read(offset, _CENTRAL.size)
        values = _CENTRAL.unpack(head)
        signature, made_by = values[0], values[1] >> 8
        if signature != _CENTRAL_SIGNATURE:
            raise BadArchiveError("the directory is broken")
        flags, method, crc, compressed, size = values[3], values[4], *values[7:10]
        name_length, extra_length, comment_length = values[10:13]
        external, local = values[15], values[16]
        after = offset + _CENTRAL.size + name_length + extra_length + comment_length
        if after > end:
            raise BadArchiveError("the directory is broken")
        name = self._read(offset + _CENTRAL.size, name_length)
        extra = self._read(offset + _CENTRAL.size + name_length, extra_length)
        size, compressed, local = _widened(extra, size, compressed, local)
        mode = external >> 16 if made_by == _UNIX else 0
        return Entry(place, name, flags, method, crc, compressed, size, local, mode), after

    def _start(self, entry: Entry) -> int:
        """Return where the content of an entry starts."""
        values = _LOCAL.unpack(self._read(entry.offset, _LOCAL.size))
        if values[0] != LOCAL_SIGNATURE:
            raise BadArchiveError("an entry is not where the directory says")
        start: int = entry.offset + _LOCAL.size + values[9] + values[10]
        if start + entry.compressed > self._directory_offset:
            raise BadArchiveError("an entry runs past the end")
        return start

    def _inflated(self, entry: Entry, start: int) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for packed in self._packed(entry, start):
                rest = packed
                while rest and not inflater.eof:
                    yield inflater.decompress(rest, _PIECE)
                    rest = inflater.unconsumed_tail
            while not inflater.eof:
                piece = inflater.decompress(b"", _PIECE)
                if not piece:
                    raise BadArchiveError("an entry ends early")
                yield piece
        except zlib.error:
            raise BadArchiveError("an entry is not deflated as it should be") from None

    def _packed(self, entry: Entry, start: int) -> Iterator[bytes]:
        for offset in range(start, start + entry.compressed, _PIECE):
            yield self._read(offset, min(_PIECE, start + entry.compressed - offset))

    def _read(self, offset: int, size: int) -> bytes:
        # By position, so that several entries can be read at the same time.
        data = os.pread(self._file.fileno(), size, offset)
        if len(data) != size:
            raise BadArchiveError("the archive ends early")
        return data


def _require_plain(entry: Entry) -> None:
    if entry.mode and stat.S_IFMT(entry.mode) not in (0, stat.S_IFREG):
        raise BadArchiveError("a link or device")
    if entry.flags & _ENCRYPTED:
        raise BadArchiveError("encrypted")
    if entry.method not in (_STORED, _DEFLATED):
        raise BadArchiveError("packed in a way that is not taken: store or deflate")


def _directory(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return offset and size of the central directory (APPNOTE 4.3.14 to 4.3.16)."""
    tail_size = min(size, _END.size + _MOST_COMMENT)
    tail = os.pread(file.fileno(), tail_size, size - tail_size)
    at = tail.rfind(_EMPTY_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise BadArchiveError("no end of a zip file")
    values = _END.unpack_from(tail, at)
    directory_size, offset = values[5], values[6]
    end = size - tail_size + at
    wide = _wide_directory(file, end)
    if wide is not None:
        offset, directory_size = wide
    if offset + directory_size > end:
        raise BadArchiveError("the directory is not where it should be")
    return offset, directory_size


def _wide_directory(file: BinaryIO, end: int) -> tuple[int, int] | None:
    if end < _LOCATOR.size:
        return None
    found = os.pread(file.fileno(), _LOCATOR.size, end - _LOCATOR.size)
    signature, _, at, _ = _LOCATOR.unpack(found)
    if signature != _LOCATOR_SIGNATURE:
        return None
    record = os.pread(file.fileno(), _END_64.size, at) if at < end else b""
    if len(record) != _END_64.size or not record.startswith(_END_64_SIGNATURE):
        raise BadArchiveError("the directory is not where it should be")
    values = _END_64.unpack(record)
    return values[9], values[8]


def _widened(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Return sizes and offset with the 64 bits of the extra field (APPNOTE 4.5.3)."""
    narrow = 0xFFFFFFFF
    wanted = [value == narrow for value in (size, compressed, offset)]
    if not any(wanted):
        return size, compressed, offset
    field = _extra_field(extra, _ZIP64_EXTRA)
    values = [size, compressed, offset]
    at = 0
    for index, is_wide in enumerate(wanted):
        if is_wide:
            if at + 8 > len(field):
                raise BadArchiveError("the directory is broken")
            values[index] = int.from_bytes(field[at : at + 8], "little")
            at += 8
    return values[0], values[1], values[2]


def _extra_field(extra: bytes, wanted: int) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""

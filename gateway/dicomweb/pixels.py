"""Where the frames of a stored image lie in its file, so that one is read without the rest."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.dicom.encoding import UNDEFINED_LENGTH, Buffer
from services.dicom.errors import InconsistentError, MalformedError
from services.dicom.header import Header
from services.dicom.part10 import MAX_META_BYTES, split_part10
from services.dicom.pixel_data import ImageShape
from services.dicom.uids import TransferSyntax, transfer_syntax
from services.dicom.walk import DEFAULT_LIMITS

Span = tuple[int, int]
"""Offset in the file and number of bytes."""

_ROWS, _COLUMNS, _SAMPLES = 0x00280010, 0x00280011, 0x00280002
_FRAMES, _BITS_ALLOCATED, _PHOTOMETRIC = 0x00280008, 0x00280100, 0x00280004
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
_WANTED: Final = frozenset(
    {_ROWS, _COLUMNS, _SAMPLES, _FRAMES, _BITS_ALLOCATED, _PHOTOMETRIC, _OFFSETS, _LENGTHS}
)
_MAX_TABLE_BYTES: Final = 8 << 20
_ITEM: Final = 0xE000
_CODE_STREAMS: Final = (b"\xff\xd8", b"\xff\x4f", b"\x00\x00\x00\x0c")
"""How a JPEG, a JPEG 2000 code stream and a JP2 file begin."""


class NoPixelsError(Exception):
    """The instance has no frames."""


@dataclass(frozen=True, slots=True)
class NativeFrames:
    """Frames of one size, one after another.

    Attributes:
        offset: Of the first one in the file.
        frame_bits: Size of one; frames of 1-bit images need not begin at a byte.
        count: Number of frames.
    """

    offset: int
    frame_bits: int
    count: int

    def span(self, frame: int) -> tuple[Span, int]:
        """Return the bytes that hold a frame, from 0, and the bit it begins with."""
        begin = frame * self.frame_bits
        first, end = begin // 8, -(-(begin + self.frame_bits) // 8)
        return (self.offset + first, end - first), begin % 8

    def cut(self, data: bytes, bit: int) -> bytes:
        """Return a frame out of the bytes of its span; pixels fill bytes from the lowest bit."""
        if not bit:
            return data
        value = int.from_bytes(data, "little") >> bit
        value &= (1 << self.frame_bits) - 1
        return value.to_bytes(-(-self.frame_bits // 8), "little")


@dataclass(frozen=True, slots=True)
class EncapsulatedFrames:
    """Frames as fragments (PS3.5 section A.4).

    Attributes:
        fragments: The fragments of each frame.
    """

    fragments: Sequence[Sequence[Span]]

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.fragments)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the frames of a file are.

    Attributes:
        syntax: Transfer syntax of the file.
        data_set: Offset of the data set in the file.
        frames: Where they lie; None where the file has to be decoded as a whole.
        count: Number of frames.
    """

    syntax: TransferSyntax
    data_set: int
    frames: NativeFrames | EncapsulatedFrames | None
    count: int


def read_layout(file: Buffer) -> Layout:
    """Find the frames of a DICOM file.

    Raises:
        NoPixelsError: It has none.
        DicomError: It is broken.
    """
    meta, start = split_part10(file[:MAX_META_BYTES])
    syntax = transfer_syntax(meta.transfer_syntax_uid)
    if syntax.deflated or syntax.by_reference:
        return Layout(syntax, start, None, 0)
    header = Header(memoryview(file)[start:], syntax, DEFAULT_LIMITS, _WANTED)
    pixels = header.pixels
    if pixels is None:
        raise NoPixelsError
    count = max(1, header.integer(_FRAMES) or 1)
    frames: NativeFrames | EncapsulatedFrames | None
    if pixels.length == UNDEFINED_LENGTH:
        frames = _encapsulated(header, start, count)
    elif syntax.little_endian:
        frames = _native(header, start, count)
    else:
        frames = None
    return Layout(syntax, start, frames, frames.count if frames is not None else count)


def _native(header: Header, start: int, count: int) -> NativeFrames:
    pixels = header.pixels
    if pixels is None:
        raise NoPixelsError
    shape = ImageShape(
        header.short(_ROWS, "Rows"),
        header.short(_COLUMNS, "Columns"),
        header.short(_SAMPLES, "SamplesPerPixel"),
        1,
        header.short(_BITS_ALLOCATED, "BitsAllocated"),
        header.text(_PHOTOMETRIC),
    )
    frame_bits = shape.native_bytes() * 8
    if shape.bits_allocated == 1:
        frame_bits = (shape.rows or 0) * (shape.columns or 0) * (shape.samples_per_pixel or 1)
    if -(-frame_bits * count // 8) > pixels.length:
        raise InconsistentError("PixelData", "shorter than rows, columns and frames say")
    return NativeFrames(start + pixels.offset, frame_bits, count)


def _encapsulated(header: Header, start: int, count: int) -> EncapsulatedFrames:
    table, fragments = _fragments(header)
    extended = _extended(header)
    if extended:
        grouped = _by_offsets(fragments, extended)
    elif count == 1:
        grouped = [fragments]
    elif len(table) == count:
        grouped = _by_offsets(fragments, table)
    elif len(fragments) == count:
        grouped = [[fragment] for fragment in fragments]
    else:
        grouped = _by_code_stream(header.data, fragments)
    if len(grouped) != count or not all(grouped):
        raise MalformedError("PixelData", "fragments do not make up the frames")
    return EncapsulatedFrames(
        [[(start + offset, length) for offset, length in frame] for frame in grouped]
    )


def _fragments(header: Header) -> tuple[list[int], list[Span]]:
    """Read the Basic Offset Table, and where the fragments lie in the data set."""
    pixels, data = header.pixels, header.data
    if pixels is None:
        raise NoPixelsError
    read = struct.Struct("<HHL").unpack_from
    items: list[Span] = []
    offset, end = pixels.offset, len(data)
    while offset + 8 <= end and len(items) <= header.limits.max_fragments:
        _, element, length = read(data, offset)
        offset += 8
        if element != _ITEM or offset + length > end:
            break
        items.append((offset, length))
        offset += length
    if len(items) < 2 or items[0][1] > _MAX_TABLE_BYTES or items[0][1] % 4:
        raise MalformedError("PixelData", "no fragments after an offset table")
    begin, length = items[0]
    table = list(struct.unpack(f"<{length // 4}L", data[begin : begin + length]))
    return table, items[1:]


def _extended(header: Header) -> list[int]:
    """Read the Extended Offset Table (7FE0,0001); empty where there is none."""
    raw = header.raw(_OFFSETS, _MAX_TABLE_BYTES)
    return list(struct.unpack(f"<{len(raw) // 8}Q", raw)) if raw and len(raw) % 8 == 0 else []


def _by_offsets(fragments: list[Span], offsets: list[int]) -> list[list[Span]]:
    first = fragments[0][0] - 8
    frame_of = {offset: number for number, offset in enumerate(offsets)}
    grouped: list[list[Span]] = [[] for _ in offsets]
    number = -1
    for fragment in fragments:
        number = frame_of.get(fragment[0] - 8 - first, number)
        if number < 0:
            raise MalformedError("PixelData", "the offset table does not fit the fragments")
        grouped[number].append(fragment)
    return grouped


def _by_code_stream(data: Buffer, fragments: list[Span]) -> list[list[Span]]:
    grouped: list[list[Span]] = []
    for fragment in fragments:
        begins = bytes(data[fragment[0] : fragment[0] + 4]).startswith(_CODE_STREAMS)
        if begins or not grouped:
            grouped.append([])
        grouped[-1].append(fragment)
    return grouped

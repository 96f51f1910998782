"""Encodes elements by hand, so that a test says each byte (PS3.5 section 7.1)."""

from __future__ import annotations

import struct

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
UNDEFINED = 0xFFFFFFFF
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"
REPORT = "1.2.840.10008.5.1.4.1.1.88.33"


def explicit(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    form = struct.pack("<HL", 0, length) if vr in LONG else struct.pack("<H", length)
    return head + form + value


def big_endian(tag: int, vr: str, value: bytes) -> bytes:
    head = struct.pack(">HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    form = struct.pack(">HL", 0, len(value)) if vr in LONG else struct.pack(">H", len(value))
    return head + form + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length) + value


def item(content: bytes, *, defined: bool = True) -> bytes:
    if defined:
        return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
    return struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED) + content + ITEM_END


def nested(depth: int, *, defined: bool) -> bytes:
    """Sequences in sequences, the innermost with one empty item."""
    content = b""
    for _ in range(depth):
        inside = item(content, defined=defined)
        if defined:
            content = explicit(0x00081115, "SQ", inside)
        else:
            content = explicit(0x00081115, "SQ", inside + SEQUENCE_END, UNDEFINED)
    return content


def uids(study: bytes = b"1.2.4", *, sop_class: str = SOP_CLASS) -> tuple[bytes, bytes]:
    """The four required UIDs, those of group 0008 and those of group 0020."""
    first = explicit(0x00080016, "UI", sop_class.encode() + b"\0" * (len(sop_class) % 2))
    first += explicit(0x00080018, "UI", b"1.2.3.4\0")
    return first, explicit(0x0020000D, "UI", study) + explicit(0x0020000E, "UI", b"1.2.5")


def short(tag: int, value: int) -> bytes:
    return explicit(tag, "US", struct.pack("<H", value))


def image(pixels: bytes, *, rows: int = 2, columns: int = 3, bits: int = 16) -> bytes:
    """A smallest image: the UIDs, the sizes, then ``pixels`` as the encoded last element."""
    first, second = uids()
    sizes = short(0x00280010, rows) + short(0x00280011, columns) + short(0x00280100, bits)
    return first + second + sizes + pixels

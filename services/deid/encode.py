"""Writes elements and sequences in the encoding of the data set around them (PS3.5 section 7)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from services.dicom.encoding import UNDEFINED_LENGTH
from services.dicom.uids import TransferSyntax

LONG_VRS: Final = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)
_MAX_SHORT: Final = 0xFFFF
_NUL_PADDED: Final = frozenset({"UI", "OB", "UN"})


class Encoder:
    """Encodes for one transfer syntax.

    Args:
        syntax: The transfer syntax of the data set.
    """

    def __init__(self, syntax: TransferSyntax) -> None:
        order = "<" if syntax.little_endian else ">"
        self._explicit = syntax.explicit_vr
        self._short = struct.Struct(order + "HH2sH")
        self._long = struct.Struct(order + "HH2sHL")
        self._implicit = struct.Struct(order + "HHL")

    def text(self, tag: int, vr: str, value: str) -> bytes:
        """Return an element with an ASCII value, padded to an even length."""
        return self.element(tag, vr, value.encode("ascii"))

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        """Return an element; the value is padded to an even length as its VR wants."""
        if len(value) % 2:
            value += b"\0" if vr in _NUL_PADDED else b" "
        return self.header(tag, vr, len(value)) + value

    def sequence(self, tag: int, items: Iterable[bytes]) -> bytes:
        """Return a sequence of items of defined length, each given without its header."""
        content = b"".join(self.item(item) for item in items)
        return self.header(tag, "SQ", len(content)) + content

    def item(self, content: bytes) -> bytes:
        """Return an item of defined length."""
        return self._implicit.pack(0xFFFE, 0xE000, len(content)) + content

    def code(self, value: str, scheme: str, meaning: str) -> bytes:
        """Return the content of an item that is a code (PS3.3 section 8.8)."""
        return b"".join(
            (
                self.text(0x00080100, "SH", value),
                self.text(0x00080102, "SH", scheme),
                self.text(0x00080104, "LO", meaning),
            )
        )

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Return the header of an element whose value follows."""
        group, element = tag >> 16, tag & 0xFFFF
        if not self._explicit:
            return self._implicit.pack(group, element, length)
        if vr in LONG_VRS or length == UNDEFINED_LENGTH:
            return self._long.pack(group, element, vr.encode(), 0, length)
        if length > _MAX_SHORT:
            # PS3.5 6.2.2 note 2: a value too long for its VR is sent as UN.
            return self._long.pack(group, element, b"UN", 0, length)
        return self._short.pack(group, element, vr.encode(), length)

"""Reads one element header: both VR styles, both byte orders (PS3.5 section 7.1)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

from services.dicom.errors import LimitExceededError, MalformedError, TruncatedError

Buffer = bytes | bytearray | memoryview
Header = tuple[int, str, int, int]
"""Tag, VR ("" for items and delimiters), offset of the value, length of the value."""
HeaderReader = Callable[[int, int], Header]
"""Takes the offset of an element and the end of what may be read."""

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_DELIMITING_GROUP: Final = 0xFFFE
_SHORT_VRS: Final = "AEASATCSDADSDTFDFLISLOLTPNSHSLSSSTTMUIULUS"
_LONG_VRS: Final = "OBODOFOLOVOWSQSVUCUNURUTUV"
_FORMS: Final[dict[bytes, tuple[str, bool]]] = {
    vrs[i : i + 2].encode(): (vrs[i : i + 2], long_form)
    for vrs, long_form in ((_SHORT_VRS, False), (_LONG_VRS, True))
    for i in range(0, len(vrs), 2)
}
_DICTIONARY_VRS: Final[dict[int, str]] = {tag: entry[0] for tag, entry in DicomDictionary.items()}
# Overlays and curves: groups 60xx and 50xx (PS3.5 section 7.6).
_REPEATING_VRS: Final[dict[int, str]] = {
    int(mask.replace("x", "0"), 16): entry[0]
    for mask, entry in RepeatersDictionary.items()
    if mask[2:4] == "xx"
}
_INFLATE_STEP: Final = 256 << 10


def dictionary_vr(tag: int) -> str:
    """VR of PS3.6 for a tag, as in "US or SS"; "UN" for private and unknown ones."""
    vr = _DICTIONARY_VRS.get(tag) or _REPEATING_VRS.get(tag & 0xFF00FFFF)
    if vr is not None:
        return vr
    if tag & 0xFFFF == 0:
        return "UL"
    creator = tag & 0x00010000 and 0x10 <= tag & 0xFFFF <= 0xFF
    return "LO" if creator else "UN"


def known_tag(tag: int) -> bool:
    """Tell whether our edition of PS3.6 lists a tag, overlays and curves included."""
    return tag in _DICTIONARY_VRS or tag & 0xFF00FFFF in _REPEATING_VRS


def header_reader(data: Buffer, *, explicit_vr: bool, little_endian: bool) -> HeaderReader:
    """Make the function that reads element headers of ``data``."""
    order = "<" if little_endian else ">"
    return _explicit(data, order) if explicit_vr else _implicit(data, order)


def _explicit(data: Buffer, order: str) -> HeaderReader:
    read = struct.Struct(order + "HH2sH").unpack_from
    read_long = struct.Struct(order + "L").unpack_from
    forms = _FORMS

    def header(offset: int, end: int) -> Header:
        value = offset + 8
        if value > end:
            raise TruncatedError("element", "header runs past the end")
        group, element, code, length = read(data, offset)
        tag = group << 16 | element
        if group == _DELIMITING_GROUP:
            return tag, "", value, read_long(data, offset + 4)[0]
        form = forms.get(code)
        if form is None:
            raise MalformedError("element", "no such VR: not the declared transfer syntax")
        vr, long_form = form
        if not long_form:
            return tag, vr, value, length
        if value + 4 > end:
            raise TruncatedError("element", "header runs past the end")
        return tag, vr, value + 4, read_long(data, value)[0]

    return header


def _implicit(data: Buffer, order: str) -> HeaderReader:
    read = struct.Struct(order + "HHL").unpack_from
    known = _DICTIONARY_VRS

    def header(offset: int, end: int) -> Header:
        value = offset + 8
        if value > end:
            raise TruncatedError("element", "header runs past the end")
        group, element, length = read(data, offset)
        tag = group << 16 | element
        if group == _DELIMITING_GROUP:
            return tag, "", value, length
        return tag, known.get(tag) or dictionary_vr(tag), value, length

    return header


def fragments_end(
    data: Buffer, offset: int, end: int, *, little_endian: bool, max_fragments: int
) -> int:
    """Find the end of encapsulated pixel data from its first item on (PS3.5 section A.4).

    Raises:
        LimitExceededError: More than ``max_fragments``, the offset table not counted.
        MalformedError: Something other than an item of defined length.
        TruncatedError: No sequence delimiter, or a fragment runs past the end.
    """
    read = struct.Struct("<HHL" if little_endian else ">HHL").unpack_from
    for _ in range(max_fragments + 2):
        if offset + 8 > end:
            raise TruncatedError("PixelData", "no sequence delimiter after the fragments")
        group, element, length = read(data, offset)
        offset += 8
        if group != _DELIMITING_GROUP or element not in (0xE000, 0xE0DD):
            raise MalformedError("PixelData", "holds something other than fragments")
        if element == 0xE0DD:
            return offset
        if length == UNDEFINED_LENGTH:
            raise MalformedError("PixelData", "a fragment of undefined length")
        offset += length
    raise LimitExceededError("PixelData", "too many fragments")


def inflate(data: Buffer, max_bytes: int) -> bytearray:
    """Inflate a raw deflate stream, never past a bound (PS3.5 section A.5).

    Raises:
        LimitExceededError: The data set is larger than ``max_bytes``.
        MalformedError: Not a deflate stream.
        TruncatedError: The stream ends early.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = bytearray()
    try:
        for start in range(0, len(data), _INFLATE_STEP):
            rest = bytes(data[start : start + _INFLATE_STEP])
            full = True
            while (rest or full) and not inflater.eof:
                part = inflater.decompress(rest, _INFLATE_STEP)
                inflated += part
                # A full step may leave output inside zlib after all input was taken.
                rest, full = inflater.unconsumed_tail, len(part) == _INFLATE_STEP
                if len(inflated) > max_bytes:
                    raise LimitExceededError("data set", "too large when inflated")
    except zlib.error:
        raise MalformedError("data set", "not a deflate stream") from None
    if not inflater.eof:
        raise TruncatedError("data set", "deflate stream ends early")
    return inflated

"""Identifiers: the data sets of queries and of their answers (PS3.4 C.4.1.1.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from services.dicom import charset
from services.dicom.encoding import UNDEFINED_LENGTH, dictionary_vr
from services.dicom.errors import InconsistentError, LimitExceededError
from services.dicom.header import Header
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from services.dicom.walk import Limits, walk

SPECIFIC_CHARACTER_SET: Final = 0x00080005
QUERY_RETRIEVE_LEVEL: Final = 0x00080052
UTF_8: Final = "ISO_IR 192"
_LIMITS: Final = Limits(max_elements=2_000, max_item_elements=512, max_depth=8)
_SHORTS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l"}
_TEXTS: Final = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR")
) | {"UT"}
_ONE_VALUE: Final = frozenset({"LT", "ST", "UT", "UR"})
_LONG_FORM: Final = frozenset(
    ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
)
_LONGEST_SHORT: Final = 65_534


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute of an identifier.

    Attributes:
        tag: Group in the upper 16 bits, element in the lower.
        vr: Its VR.
        values: Its values as text, none for one that is empty or a sequence.
    """

    tag: int
    vr: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identifier:
    """The keys of an identifier, by tag in ascending order."""

    keys: Mapping[int, Key]

    def values(self, tag: int) -> tuple[str, ...]:
        """Return the values of a key; none when it is absent."""
        key = self.keys.get(tag)
        return key.values if key is not None else ()


def decode_identifier(data: bytes, transfer_syntax_uid: str) -> Identifier:
    """Decode an identifier, which holds the keys at its top level.

    Raises:
        DicomError: Malformed, too many elements, or nested too deep. Names no value.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    tags = [element.tag for element in walk(data, syntax, _LIMITS)]
    if len(tags) > _LIMITS.max_item_elements:
        raise LimitExceededError("identifier", "too many keys")
    header = Header(data, syntax, _LIMITS, frozenset(tags))
    encodings = charset.encodings_of(header.raw(SPECIFIC_CHARACTER_SET, 256))
    return Identifier(
        {
            tag: _key(header, tag, encodings)
            for tag in sorted(header.elements)
            if tag & 0xFFFF and tag != SPECIFIC_CHARACTER_SET
        }
    )


def encode_data_set(values: Mapping[int, str], transfer_syntax_uid: str) -> bytes:
    """Encode a flat data set in UTF-8, its Specific Character Set added.

    Args:
        values: Text by tag; several values are separated by backslashes. VRs are those of PS3.6.
        transfer_syntax_uid: Explicit or Implicit VR Little Endian.
    """
    explicit = transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    whole = {**values, SPECIFIC_CHARACTER_SET: UTF_8}
    return b"".join(_element(tag, text, explicit=explicit) for tag, text in sorted(whole.items()))


def encode_sequence(tag: int, items: Iterable[bytes], transfer_syntax_uid: str) -> bytes:
    """Encode a sequence of defined length from its encoded items."""
    value = b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in items)
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        start += b"SQ\0\0"
    return start + struct.pack("<L", len(value)) + value


def encode_item(values: Mapping[int, str], transfer_syntax_uid: str) -> bytes:
    """Encode what stands in an item: as `encode_data_set`, without a character set."""
    explicit = transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    return b"".join(_element(tag, text, explicit=explicit) for tag, text in sorted(values.items()))


def _key(header: Header, tag: int, encodings: tuple[str, ...]) -> Key:
    element = header.elements[tag]
    if element.length in (0, UNDEFINED_LENGTH):
        return Key(tag, _first_vr(element.vr), ())
    vr = _first_vr(element.vr)
    raw = header.raw(tag, element.length)
    if vr in _SHORTS:
        return Key(tag, vr, _numbers(raw, vr))
    if vr not in _TEXTS:
        return Key(tag, vr, ())
    text = charset.decode(raw, encodings).replace("\0", "")
    parts = [text] if vr in _ONE_VALUE else text.split("\\")
    values = tuple(part.strip() for part in parts)
    return Key(tag, vr, values if any(values) else ())


def _numbers(raw: bytes, vr: str) -> tuple[str, ...]:
    size = struct.calcsize(_SHORTS[vr])
    if len(raw) % size:
        raise InconsistentError("identifier", "a number of another length than its VR")
    return tuple(str(number) for (number,) in struct.iter_unpack("<" + _SHORTS[vr], raw))


def _first_vr(vr: str) -> str:
    return vr.partition(" ")[0]


def _element(tag: int, text: str, *, explicit: bool) -> bytes:
    vr = _first_vr(dictionary_vr(tag))
    value = _encoded(text, vr)
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return start + struct.pack("<L", len(value)) + value
    if vr in _LONG_FORM:
        return start + vr.encode() + struct.pack("<HL", 0, len(value)) + value
    value = value[:_LONGEST_SHORT]
    return start + vr.encode() + struct.pack("<H", len(value)) + value


def _encoded(text: str, vr: str) -> bytes:
    if not text or (vr not in _TEXTS and vr not in _SHORTS):
        return b""
    if vr in _SHORTS:
        return b"".join(struct.pack("<" + _SHORTS[vr], int(part)) for part in text.split("\\"))
    value = text.encode("utf-8", "replace")
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)

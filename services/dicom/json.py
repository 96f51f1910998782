"""The DICOM JSON Model of a header (PS3.18 Annex F), from encoded bytes, without bulk data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.dicom import charset
from services.dicom.encoding import UNDEFINED_LENGTH, Buffer, dictionary_vr, inflate
from services.dicom.errors import LimitExceededError
from services.dicom.json_values import BINARY, inline_binary, values_of
from services.dicom.uids import TransferSyntax, transfer_syntax
from services.dicom.walk import DEFAULT_LIMITS, ITEM, PIXEL_TAGS, Element, Limits, walk

JsonObject = dict[str, Any]
BulkUri = Callable[[Element], str | None]
"""Gives the address of a value that is not in the JSON, or None for no address."""

_CHARACTER_SET: Final = 0x00080005
_PIXEL_REPRESENTATION: Final = "00280103"
_MAX_BINARY_BYTES: Final = 1024
_MAX_VALUE_BYTES: Final = 64 << 10
_MAX_TOTAL_BYTES: Final = 64 << 20


def header_json(
    data_set: Buffer,
    transfer_syntax_uid: str,
    limits: Limits = DEFAULT_LIMITS,
    *,
    bulk_uri: BulkUri | None = None,
) -> JsonObject:
    """Write the header of an instance in the DICOM JSON Model.

    Pixel data, binary values over 1 KiB and other values over 64 KiB have a ``BulkDataURI``
    where ``bulk_uri`` gives one, else no value. A value that does not fit its VR is left out,
    a DS or IS that is no number stays text, NULs are dropped and text that does not decode
    has U+FFFD. Of an attribute that stands twice the first counts. Group lengths are left out.

    Args:
        data_set: The encoded data set, without preamble and file meta information.
        transfer_syntax_uid: How it is encoded.
        limits: Bounds on what reading may cost.
        bulk_uri: Gives addresses of bulk values; offsets are those in the inflated data set.

    Returns:
        Tags of eight hexadecimal digits to ``{"vr": ..., "Value": [...]}``; all text is
        Unicode, so Specific Character Set, where present, is ISO_IR 192.

    Raises:
        DicomError: The encoding is broken or a limit reached.
    """
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax.deflated:
        data_set = inflate(data_set, limits.max_inflated_bytes)
    return _Writer(data_set, syntax, bulk_uri).write(limits)


@dataclass(slots=True)
class _Level:
    """A data set that is being read, and the sequence in it whose items come next."""

    content: JsonObject
    encodings: Sequence[str]
    little_endian: bool
    sequence: JsonObject = field(default_factory=dict)
    sequence_little_endian: bool = True


class _Writer:
    def __init__(self, data: Buffer, syntax: TransferSyntax, bulk_uri: BulkUri | None) -> None:
        self._data = data
        self._syntax = syntax
        self._bulk_uri = bulk_uri
        self._left = _MAX_TOTAL_BYTES
        self._levels = [_Level({}, charset.DEFAULT_ENCODINGS, syntax.little_endian)]

    def write(self, limits: Limits) -> JsonObject:
        for element in walk(self._data, self._syntax, limits, nested=True):
            if element.tag == ITEM:
                self._begin_item(element.depth)
            elif element.tag & 0xFFFF:
                self._add(element)
        return self._levels[0].content

    def _begin_item(self, depth: int) -> None:
        around = self._levels[depth - 1]
        content: JsonObject = {}
        around.sequence.setdefault("Value", []).append(content)
        level = _Level(content, around.encodings, around.sequence_little_endian)
        self._levels[depth:] = [level]

    def _add(self, element: Element) -> None:
        level = self._levels[element.depth]
        vr = self._vr(element, level)
        entry: JsonObject = {"vr": vr}
        if vr == "SQ":
            level.sequence = entry
            level.sequence_little_endian = element.vr == "UN" or level.little_endian
        elif self._is_bulk(element, vr):
            uri = self._bulk_uri(element) if self._bulk_uri else None
            if uri is not None:
                entry["BulkDataURI"] = uri
        else:
            self._fill(entry, element, level)
        level.content.setdefault(f"{element.tag:08X}", entry)

    def _vr(self, element: Element, level: _Level) -> str:
        vr = element.vr
        if vr == "UN":
            if element.length == UNDEFINED_LENGTH:
                return "SQ"
            known = dictionary_vr(element.tag)
            # PS3.5 6.2.2: it may be read as its own VR, but a sequence's encoding is unsure.
            vr = "UN" if known == "SQ" else known
        if len(vr) == 2:
            return vr
        if vr.endswith("OW"):
            return "OW"
        return "SS" if self._signed(level) else "US"

    def _signed(self, level: _Level) -> bool:
        for content in (level.content, self._levels[0].content):
            if _PIXEL_REPRESENTATION in content:
                return bool(content[_PIXEL_REPRESENTATION].get("Value") == [1])
        return False

    @staticmethod
    def _is_bulk(element: Element, vr: str) -> bool:
        if element.tag in PIXEL_TAGS or element.length == UNDEFINED_LENGTH:
            return True
        return element.length > (_MAX_BINARY_BYTES if vr in BINARY else _MAX_VALUE_BYTES)

    def _fill(self, entry: JsonObject, element: Element, level: _Level) -> None:
        self._left -= element.length
        if self._left < 0:
            raise LimitExceededError("data set", "too long a header for JSON")
        value = bytes(self._data[element.offset : element.offset + element.length])
        little_endian = level.little_endian or element.vr == "UN"
        if entry["vr"] in BINARY:
            if value:
                entry["InlineBinary"] = inline_binary(
                    entry["vr"], value, little_endian=little_endian
                )
            return
        if element.tag == _CHARACTER_SET:
            level.encodings = charset.encodings_of(value)
            value = b"ISO_IR 192"
        values = values_of(entry["vr"], value, level.encodings, little_endian=little_endian)
        if values:
            entry["Value"] = values

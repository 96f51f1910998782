"""Values that name a person or belong to one, wherever in an object they stand."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final, NamedTuple

from pydicom._dicom_dict import DicomDictionary

from services.deid.layout import Layout, Place
from services.dicom.uids import TransferSyntax

PERSONS: Final = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "PN")
NUMBERS: Final = frozenset(
    {
        0x00100020,  # Patient ID
        0x00080050,  # Accession Number
        0x00080092,  # Referring Physician's address and telephone numbers
        0x00080094,
        0x00101000,  # Other Patient IDs
        0x00101040,  # Patient's Address
        0x00101090,  # Medical Record Locator
        0x00102154,  # Patient's Telephone Numbers
        0x00102155,  # Patient's Telecom Information
        0x00380010,  # Admission ID
        0x00380060,  # Service Episode ID
        0x00401001,  # Requested Procedure ID
        0x00401102,  # Person's address, telephone numbers, telecom information
        0x00401103,
        0x00401104,
        0x00402010,  # Order Callback Phone Number
        0x00402016,  # Placer and filler order numbers
        0x00402017,
    }
)
_LONGEST: Final = 4096
_MOST: Final = 256
"""Nested ones of an object; more are those of many frames, or an attack."""


class Identifier(NamedTuple):
    """A value that names or belongs to a person, as it stands.

    Attributes:
        is_name: Whether it is a person's name.
        value: Encoded, at most 4096 bytes.
    """

    is_name: bool
    value: bytes


def is_identifier(place: Place) -> bool:
    """Tell whether an element names a person or belongs to one, whatever VR it says."""
    return place.vr == "PN" or place.tag in PERSONS or place.tag in NUMBERS


def nested_identifiers(
    layout: Layout, places: Iterable[Place], syntax: TransferSyntax
) -> list[Identifier]:
    """Return the identifiers within the sequences of an object, each once.

    Args:
        layout: Of the data set.
        places: Of the elements of its top level.
        syntax: Its transfer syntax.

    Raises:
        DicomError: A sequence that holds one breaks the encoding rules.
    """
    found: dict[Identifier, None] = {}
    sequences = [place for place in places if place.vr == "SQ"]
    if sequences:
        pattern = _pattern(explicit=syntax.explicit_vr, little_endian=syntax.little_endian)
        for place in sequences:
            if pattern.search(layout.view, place.value, place.stop):
                _collect(layout, place, 0, found)
    return list(found)


def _collect(layout: Layout, place: Place, depth: int, found: dict[Identifier, None]) -> None:
    for inner in _elements(layout, place, depth):
        if len(found) >= _MOST:
            return
        if inner.vr == "SQ":
            _collect(layout, inner, depth + 1, found)
        elif is_identifier(inner):
            found[identifier(layout.view, inner)] = None


def _elements(layout: Layout, place: Place, depth: int) -> Iterator[Place]:
    for begin, end in layout.items(place, depth):
        yield from layout.elements(begin, end, depth + 1)


def identifier(view: memoryview, place: Place) -> Identifier:
    """Return what an element says of a person."""
    value = bytes(view[place.value : min(place.stop, place.value + _LONGEST)])
    return Identifier(place.vr == "PN" or place.tag in PERSONS, value)


@cache
def _pattern(*, explicit: bool, little_endian: bool) -> re.Pattern[bytes]:
    """Return what an encoded sequence holds if there may be an identifier in it.

    Most sequences hold none: to look for their tags costs less than to walk.
    """
    form = struct.Struct("<HH" if little_endian else ">HH")
    tags = NUMBERS | (PERSONS if not explicit else frozenset())
    marks = [form.pack(tag >> 16, tag & 0xFFFF) for tag in sorted(tags)]
    # A person's name under another VR than its own is found by the rules, as any wrong VR is.
    return re.compile(b"|".join(map(re.escape, [*marks, b"PN"] if explicit else marks)))

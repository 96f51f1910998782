"""Looks once more at the finished object for whatever its source said of the patient.

The scan knows nothing of the rules that ran: it is told what identified the patient before, and
searches the finished bytes for it, in each encoding in which it could stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.deid.facts import Facts

_SHORTEST: Final = 4
_SHORTEST_IN_PIXELS: Final = 7
_MOST_PLACES: Final = 1000
_LONGEST_TAIL: Final = 256
_PRINTABLE: Final = 0x5F
_ALL_FOUR: Final = np.uint32(0x01010101)
_WIDE: Final = ("utf-16-le", "utf-16-be")


@dataclass(frozen=True, slots=True)
class Needles:
    """What is sought.

    Attributes:
        header: Folded to lower case, for everything but the pixels.
        pixels: As sent, for the pixels: long enough not to be found by chance.
    """

    header: frozenset[bytes]
    pixels: frozenset[bytes]


def needles(facts: Facts, pseudonym: str) -> Needles:
    """Return what must not be found in an object any more.

    Args:
        facts: What stood in its header before.
        pseudonym: The patient's new name, which may by chance be the old one.
    """
    texts = {word for name in facts.names for word in _parts(name)}
    texts |= {number.strip() for number in facts.numbers}
    texts |= set(facts.dates)
    texts.discard(pseudonym)
    encodings = ("utf-8", *facts.encodings)
    return Needles(
        header=_encoded({t.lower() for t in texts if len(t) >= _SHORTEST}, encodings),
        pixels=_encoded({t for t in texts if len(t) >= _SHORTEST_IN_PIXELS}, encodings[:1]),
    )


def found_in(
    parts: Sequence[bytes | memoryview],
    sought: Needles,
    uids: frozenset[bytes],
    longest_header: int,
) -> int:
    """Return how many of what is sought stand in the finished parts of an object.

    Args:
        parts: Its bytes, in order; one longer than ``longest_header`` is pixels or other bulk.
        sought: What must not be there.
        uids: UIDs that must not be there either, outside of bulk.
        longest_header: Longest part, in bytes, that is read as header.
    """
    header = b"".join(part for part in parts if len(part) <= longest_header).lower()
    bulk = [part for part in parts if len(part) > longest_header]
    hits = sum(needle in header for needle in (*sought.header, *uids))
    return hits + sum(_found_in_bulk(part, sought.pixels) for part in bulk)


def _found_in_bulk(part: bytes | memoryview, sought: frozenset[bytes]) -> int:
    """Count what stands in a large part, mostly by finding that no text stands there at all."""
    if not sought:
        return 0
    octets = np.frombuffer(part, np.uint8, len(part) // 8 * 8)
    places = np.concatenate([_narrow_places(octets, sought), _wide_places(octets, sought)])
    tail = bytes(part[-_LONGEST_TAIL:])
    if all(needle.isascii() for needle in sought) and len(places) <= _MOST_PLACES:
        longest = max(map(len, sought))
        near = [bytes(part[max(0, at - longest) : at + longest]) for at in places.tolist()]
        return sum(needle in window for window in (*near, tail) for needle in sought)
    whole = bytes(part)
    return sum(needle in whole for needle in sought)


def _narrow_places(octets: NDArray[np.uint8], sought: frozenset[bytes]) -> NDArray[np.intp]:
    """Return offsets of which one lies within each of what is sought, of seven bytes or more.

    Seven bytes cover four at an offset divisible by four; those must be printable.
    """
    printable = (octets - np.uint8(0x20)) < _PRINTABLE
    found = np.flatnonzero(printable.view("<u4") == _ALL_FOUR)
    return 4 * found[np.isin(octets.view("<u4")[found], _words(sought, 4))]


def _wide_places(octets: NDArray[np.uint8], sought: frozenset[bytes]) -> NDArray[np.intp]:
    """Return the same for UTF-16 of seven characters or more, wherever its bytes lie."""
    pairs = octets.view("<u2")
    low = (pairs - np.uint16(0x20)) < _PRINTABLE
    high = ((pairs & np.uint16(0xFF)) == 0) & ((pairs - np.uint16(0x2000)) < _PRINTABLE << 8)
    found = np.flatnonzero((low.view("<u4") == _ALL_FOUR) | (high.view("<u4") == _ALL_FOUR))
    return 8 * found[np.isin(octets.view("<u8")[found], _words(sought, 8))]


def _words(sought: frozenset[bytes], size: int) -> NDArray[np.uint64]:
    found = {
        needle[at : at + size]
        for needle in sought
        for at in range(min(size, len(needle) - size) + 1)
    }
    return np.array([int.from_bytes(word, "little") for word in found], np.uint64)


def _parts(name: str) -> Iterable[str]:
    for group in name.split("="):
        yield from (word for part in group.split("^") for word in part.split())


def _encoded(texts: set[str], encodings: Sequence[str]) -> frozenset[bytes]:
    found = set()
    for text in texts:
        for encoding in dict.fromkeys((*encodings, *_WIDE)):
            try:
                found.add(text.encode(encoding))
            except (UnicodeEncodeError, LookupError):
                continue  # cannot stand there in that encoding
    return frozenset(found)

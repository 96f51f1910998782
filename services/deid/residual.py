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
    """Count what stands in a large part, mostly by finding that no text stands there at all.

    Seven bytes or more hold four that lie at an offset divisible by four: such a word must be
    four letters of ASCII, or two of UTF-16, before anything has to be sought.
    """
    if not sought:
        return 0
    words = np.frombuffer(part, "<u4", len(part) // 4)
    places = np.flatnonzero(_may_be_text(words))
    places = places[np.isin(words[places], _words(sought))]
    if all(needle.isascii() for needle in sought) and len(places) <= _MOST_PLACES:
        longest = max(map(len, sought))
        near = (part[max(0, 4 * at - longest) : 4 * at + longest] for at in places.tolist())
        return sum(needle in bytes(window) for window in near for needle in sought)
    whole = bytes(part)
    return sum(needle in whole for needle in sought)


def _may_be_text(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    narrow = (words | (words - np.uint32(0x20202020))) & np.uint32(0x80808080)
    wide = (words & np.uint32(0xFF00FF00)) * (words & np.uint32(0x00FF00FF))
    found: NDArray[np.bool_] = (narrow == 0) | ((wide == 0) & (words != 0))
    return found


def _words(sought: frozenset[bytes]) -> NDArray[np.uint32]:
    found = {needle[at : at + 4] for needle in sought for at in range(4)}
    return np.array([int.from_bytes(word, "little") for word in found], np.uint32)


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

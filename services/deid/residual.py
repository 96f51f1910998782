"""Looks once more at the finished object for whatever its source said of the patient.

The scan knows nothing of the rules that ran: it is told what identified the patient before, and
searches the finished bytes for it, in each encoding in which it could stand there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pydicom.charset import python_encoding

from services.deid.descriptors import clinical_words
from services.deid.dummies import OWN_WORDS
from services.deid.facts import Facts
from services.deid.sieve import Sieve

Part = bytes | memoryview
_LONGEST_HEADER_PART: Final = 16 << 10
_SHORTEST: Final = 4
_SHORTEST_IN_PIXELS: Final = 7
_SHORTEST_IN_BASE64: Final = 6
_LONG_NUMBER: Final = 8
_LONGEST_TEXT: Final = 256
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_NARROW: Final = ("utf-8", *dict.fromkeys(python_encoding.values()), "cp1252", "big5", "cp1251")
_LETTERS: Final = re.compile(rb"[a-z]*")
_LETTERS_BEFORE: Final = re.compile(rb"[a-z]*\Z")
_GROUPING: Final = str.maketrans("", "", " -().+/")


@dataclass(frozen=True)
class Needles:
    """What is sought.

    Attributes:
        header: Folded to lower case, for everything but the pixels.
        pixels: As sent, for the pixels: long enough not to be found by chance.
    """

    header: frozenset[bytes]
    pixels: frozenset[bytes]
    in_header: Sieve = field(init=False, repr=False, compare=False)
    in_pixels: Sieve = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "in_header", Sieve(self.header, every_offset=True))
        object.__setattr__(self, "in_pixels", Sieve(self.pixels, every_offset=False))


def needles(facts: Facts, pseudonym: str) -> Needles:
    """Return what must not be found in an object any more.

    Args:
        facts: What stood in its header before.
        pseudonym: The patient's new name, which may by chance be the old one.
    """
    texts = {word[:_LONGEST_TEXT] for name in facts.names for word in _parts(name)}
    texts |= {form[:_LONGEST_TEXT] for number in facts.numbers for form in _numbers(number)}
    texts |= {form for date in facts.dates for form in _dates(date)}
    texts -= {pseudonym, *OWN_WORDS}
    raw = {word for value in facts.undecoded for word in _raw_parts(value)}
    long = {text for text in texts if len(text) >= _SHORTEST_IN_PIXELS}
    return Needles(
        header=frozenset(_in_header(texts) | {word.lower() for word in raw}),
        pixels=frozenset(
            {text.encode(one) for text in long for one in ("utf-8", *_WIDE[:2])}
            | {word for word in raw if len(word) >= _SHORTEST_IN_PIXELS}
        ),
    )


def gathered(
    parts: Iterable[Part], own: Collection[bytes] = ()
) -> tuple[list[Part], bytes, list[Part]]:
    """Return parts with small neighbours put together, all small ones as one, and the large ones.

    Args:
        parts: Of an object, in order.
        own: Those among them that we wrote and that are not searched.

    Returns:
        The parts; what is searched as header, its ASCII letters in lower case; and what is
        searched as pixels or other bulk.
    """
    together: list[Part] = []
    header: list[Part] = []
    bulk: list[Part] = []
    small: list[Part] = []
    for part in parts:
        if len(part) <= _LONGEST_HEADER_PART:
            small.append(part)
            # What we wrote is bytes; a view of an inflated object cannot be looked up.
            if not (isinstance(part, bytes) and part in own):
                header.append(part)
            continue
        together += [b"".join(small), part]
        bulk.append(part)
        small = []
    together.append(b"".join(small))
    return together, b"".join(header).lower(), bulk


def found_in(header: bytes, bulk: Iterable[Part], sought: Needles, uids: frozenset[bytes]) -> int:
    """Return how many of what is sought stand in a finished object.

    Args:
        header: As ``gathered`` returns it.
        bulk: The same.
        sought: What must not be there.
        uids: UIDs that must not be there either, outside of bulk.
    """
    hits = sum(uid in header for uid in uids)
    hits += sum(not _is_chance(header, at, needle) for at, needle in sought.in_header.found(header))
    return hits + sum(1 for part in bulk for _ in sought.in_pixels.found(part))


def _is_chance(header: bytes, at: int, needle: bytes) -> bool:
    """Tell whether a hit is only part of something longer that names nobody.

    That is a short number within a longer one, as of a new UID, and a name within a word of
    medicine, as Mary is in PRIMARY.
    """
    end = at + len(needle)
    if needle.isdigit() and len(needle) < _LONG_NUMBER:
        return header[max(0, at - 1) : at].isdigit() or header[end : end + 1].isdigit()
    if not needle.isalpha():
        return False
    before, after = _LETTERS_BEFORE.search(header, max(0, at - 32), at), _LETTERS.match(header, end)
    word = (before[0] if before else b"") + needle + (after[0] if after else b"")
    return word != needle and word.decode("ascii", "replace") in clinical_words()


def _parts(name: str) -> Iterator[str]:
    for group in name.replace("\\", "=").split("="):
        yield from (word for part in group.split("^") for word in part.split())


def _raw_parts(value: bytes) -> Iterator[bytes]:
    for mark in b"\\=^":
        value = value.replace(bytes([mark]), b" ")
    yield from (word.strip(b"\0") for word in value.split() if len(word) >= _SHORTEST)


def _numbers(value: str) -> Iterator[str]:
    for number in value.split("\\"):
        yield number.strip()
        digits = number.translate(_GROUPING)
        if digits.isdigit() and len(digits) >= _SHORTEST_IN_PIXELS:
            yield digits


def _dates(date: str) -> Iterator[str]:
    yield date
    if len(date) == 8 and date.isdigit():
        year, month, day = date[:4], date[4:6], date[6:]
        for mark in "-./":
            yield mark.join((year, month, day))
            yield mark.join((day, month, year))
            yield mark.join((month, day, year))


def _in_header(texts: Iterable[str]) -> set[bytes]:
    """Return texts in every encoding, their ASCII letters folded as those of the header are."""
    found: set[bytes] = set()
    for text in texts:
        if len(text) < _SHORTEST and text.isascii():
            continue
        for form in {text, text.lower(), text.upper()}:
            found.update(_encoded(form, _WIDE if form.isascii() else (*_NARROW, *_WIDE)))
        found.add(text.lower().encode())
        found.update(one.lower() for one in _in_base64(text.encode()))
    return {one for one in found if len(one) >= _SHORTEST}


def _encoded(text: str, encodings: Iterable[str]) -> Iterator[bytes]:
    for encoding in encodings:
        try:
            yield text.encode(encoding).lower()
        except (UnicodeEncodeError, LookupError):
            continue  # cannot stand there in that encoding


def _in_base64(value: bytes) -> Iterator[bytes]:
    """Yield what base64 makes of bytes at each of the three places where they can lie in it."""
    if len(value) < _SHORTEST_IN_BASE64:
        return
    for before in range(3):
        whole = base64.b64encode(bytes(before) + value)
        # The first and last characters depend on what stands around.
        yield whole[-(-before * 8 // 6) : (before + len(value)) * 8 // 6]

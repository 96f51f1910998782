"""May a text that was read in a frame stay there? What cannot be told for sure may not.

A reader of text confuses letters that look alike, so the patient's own words are compared loosely:
DOE^JOHN is read as DOE4JOHN or D0EJ0HN.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from services.deid.descriptors import cleaned
from services.deid.pixels.text import OCR_IDENTIFIER, OCR_TEXT, Text
from services.deid.subject import Subject

_SURE: Final = 0.8
_SHORTEST: Final = 3
_TOKEN: Final = re.compile(r"[^\W_]+(?:[.,]\d+)?")
_MARKERS: Final = frozenset({"l", "r", "a", "p", "h", "f", "s", "i", "al", "ar", "pl", "pr", "lao"})
_UNITS: Final = frozenset({"mm", "cm", "%", "hz", "db"})
_SCALE: Final = re.compile(r"\d{1,3}([.,]\d{1,2})?(mm|cm|%|hz|db)?", re.ASCII)
_ALIKE: Final = str.maketrans("01|!58426zg9q$", "oiiisbazbzqqqs")
_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)


class Staying(Enum):
    """Which text may stay in pixels.

    Attributes:
        CLINICAL: Words of medicine and short numbers, as in descriptors.
        MARKERS: Letters of laterality and orientation, and numbers of a scale, alone.
    """

    CLINICAL = "clinical"
    MARKERS = "markers"


def objection(text: Text, subject: Subject, staying: Staying) -> str:
    """Return why a text has to go: the code of a box, or "" when it may stay.

    Args:
        text: As it was read.
        subject: The patient, with the words of the header that identify.
        staying: What may stay.
    """
    if is_named_loosely(text.words, subject.words):
        return OCR_IDENTIFIER
    if text.confidence < _SURE or not text.words:
        return OCR_TEXT
    allowed = _clinical if staying is Staying.CLINICAL else _marking
    return "" if allowed(text.words, subject) else OCR_TEXT


def is_named_loosely(words: str, identifying: Iterable[str]) -> bool:
    """Tell whether a text reads like one of the words that identify.

    Args:
        words: As read.
        identifying: Casefolded words, numbers, and dates as YYYYMMDD.
    """
    read = _folded(words)
    digits = re.sub(r"\D", "", words.translate(str.maketrans("OoIlSB", "001158")))
    return any(
        _near(_folded(form), read) or (form.isdigit() and _near(form, digits))
        for word in identifying
        for form in _forms(word)
        if len(form) >= _SHORTEST
    )


def _clinical(words: str, subject: Subject) -> bool:
    tokens = _TOKEN.findall(words)
    return bool(tokens) and cleaned(words, subject).split() == tokens


def _marking(words: str, _subject: Subject) -> bool:
    tokens = words.casefold().split()
    fits = (token in _MARKERS | _UNITS or _SCALE.fullmatch(token) for token in tokens)
    return bool(tokens) and all(fits)


def _folded(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold())).translate(_ALIKE)


def _forms(word: str) -> Iterator[str]:
    """Yield a word, and a date in the orders in which it may be written."""
    yield word
    if len(word) != len("YYYYMMDD") or not word.isdigit() or not 1 <= int(word[4:6]) <= 12:
        return
    year, month, day = word[:4], word[4:6], word[6:]
    named = _MONTHS[int(month) - 1]
    yield from (day + month + year, month + day + year)
    yield from (day + named + year, named + day + year, year + named + day)
    yield from (day + month + year[2:], month + day + year[2:], day + named + year[2:])


def _near(word: str, text: str) -> bool:
    """Tell whether a word stands in a text but for one slip in five characters."""
    if word in text:
        return True
    slips = len(word) // 5
    return slips > 0 and _least_slips(word, text) <= slips


def _least_slips(word: str, text: str) -> int:
    """Return the least edit distance of a word to any part of a text (Sellers)."""
    above = [0] * (len(text) + 1)
    for number, letter in enumerate(word, start=1):
        row = [number]
        for place, other in enumerate(text, start=1):
            changed = above[place - 1] + (letter != other)
            row.append(min(changed, above[place] + 1, row[place - 1] + 1))
        above = row
    return min(above)

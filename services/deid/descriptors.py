"""Free text of which only words stay that identify nobody (PS3.15 E.3.5, Clean Descriptors).

What stays is chosen, not what goes: a word stays when it is one of medicine's own, as the codes of
DICOM and SNOMED CT spell it, and is not one of the patient's header; a number stays when it is
short. Nothing else is let through, whoever it names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from services.deid.subject import SHORTEST_WORD, Subject
from services.deid.text_dates import capped_ages, parts_by_date

_TOKEN: Final = re.compile(r"[^\W_]+(?:\.\d+[a-z]*)?")
_CAMEL: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]{2,}(?![a-z])")
# T1, B30f, 5.0mm, 120: a short number with few letters before or after it.
_MEASURE: Final = re.compile(r"([a-z]{0,4})(\d{1,3})(?:\.\d{1,2})?([a-z]{0,4})", re.ASCII)
# Anatomy, laterality, views, contrast agents, findings of the chest, what segmentation finds. The
# other code lists name drugs and plants after people.
_CODE_LISTS: Final = (
    *(2, 4, 12, 29, 33, 244, 4009, 4010, 4011, 4012, 4013, 4014, 4015, 4016, 4017, 4018, 4019),
    *(4020, 4021, 4025, 4028, 4030, 4031, 4040, 4042, 4052, 7150, 7151, 7152, 7153, 7154, 7156),
    *range(6100, 6140),
    *range(7159, 7200),
)
_TITLES: Final = frozenset({"dr", "mr", "mrs", "ms", "prof", "doctor", "sister", "nurse"})
# Words of anatomy that are given names, too.
_NAMES: Final = frozenset({"james", "may"})
# 12/05/1970, 1970-05-12, 555 123-4567: digits that are grouped are a date or somebody's number.
_GROUPED: Final = re.compile(r"\+?\(?\d[\d\s().:/-]*[\s().:/-]\d[\d\s().:/-]*")
_MOST_GROUPED_DIGITS: Final = 4


@cache
def clinical_words() -> frozenset[str]:
    """Return the words that may stay, casefolded."""
    from pydicom.sr._cid_dict import cid_concepts

    groups = (cid_concepts.get(number, {}) for number in _CODE_LISTS)
    names = (name for group in groups for found in group.values() for name in found)
    words = {word.casefold() for name in names for word in _CAMEL.findall(name)}
    own = files(__package__).joinpath("clinical_words.txt").read_text(encoding="utf-8")
    words.update(line.strip() for line in own.splitlines() if line and not line.startswith("#"))
    return frozenset(words - _TITLES - _NAMES)


def cleaned(text: str, subject: Subject, shift_days: int | None = None) -> str:
    """Return what may stay of a text, its words in their order with single blanks between.

    Args:
        text: Any text.
        subject: Whose words must go, also where they are words of medicine.
        shift_days: By how many days dates in it move; None when they go.
    """
    if not text:
        return ""
    parts = parts_by_date(capped_ages(text), shift_days, subject.words)
    found = (part if is_date else _cleaned_part(part, subject) for is_date, part in parts)
    return " ".join(part for part in found if part)


def _cleaned_part(text: str, subject: Subject) -> str:
    ungrouped = _GROUPED.sub(_short_group, text)
    return " ".join(_staying(_TOKEN.findall(ungrouped), subject))


def _short_group(found: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in found[0])
    return found[0] if digits <= _MOST_GROUPED_DIGITS else " "


def _staying(tokens: list[str], subject: Subject) -> Iterator[str]:
    words, after_title = clinical_words(), 0
    for token in tokens:
        folded = token.casefold()
        if folded in _TITLES:
            after_title = 2
            continue
        if token[0].isalpha() and after_title:
            after_title -= 1
            continue
        if _stays(folded, words, subject):
            yield token


def _stays(folded: str, words: frozenset[str], subject: Subject) -> bool:
    if folded in subject.words:
        return False
    measure = _MEASURE.fullmatch(folded)
    if measure is None:
        return folded in words and folded.isascii()
    letters = (measure[1], measure[3])
    return all(len(part) <= SHORTEST_WORD or part in words for part in letters)

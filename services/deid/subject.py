"""Whom an object is about, and every word of its header that could tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from services.deid.pseudonyms import Pseudonyms

_WORD: Final = re.compile(r"[^\W_]+")
_NUMBER: Final = re.compile(r"\d{4,}")
SHORTEST_WORD: Final = 2
_FILLERS: Final = frozenset({"dr", "md", "mr", "ms", "mrs", "prof", "jr", "sr", "phd", "von", "de"})


@dataclass(frozen=True, slots=True)
class Subject:
    """The patient of an object, under another name.

    Attributes:
        pseudonym: What the patient is called.
        shift_days: By how many days dates move.
        words: Casefolded words and numbers of the header that identify.
    """

    pseudonym: str
    shift_days: int
    words: frozenset[str]

    @classmethod
    def known_by(
        cls, patient_key: str, pseudonyms: Pseudonyms, identifiers: Iterable[str]
    ) -> Subject:
        """Return the subject of a patient.

        Args:
            patient_key: See ``pseudonyms.patient_key``.
            pseudonyms: Of the project.
            identifiers: Values that identify: names, numbers, addresses.
        """
        words = frozenset(word for value in identifiers for word in identifying_words(value))
        return cls(pseudonyms.patient(patient_key), pseudonyms.shift_days(patient_key), words)

    def is_named_in(self, text: str) -> bool:
        """Tell whether a text holds a word that identifies, alone or within a longer one."""
        folded = text.casefold()
        return any(
            word in folded if len(word) > SHORTEST_WORD + 1 else word in _words(folded)
            for word in self.words
        )


def identifying_words(value: str) -> Iterator[str]:
    """Yield the words of an identifier that are worth looking for, casefolded."""
    for word in _words(value.casefold()):
        if len(word) >= SHORTEST_WORD and word not in _FILLERS:
            yield word
    # A number is sought without what groups its digits, too.
    digits = re.sub(r"[\s().+-]", "", value)
    if _NUMBER.fullmatch(digits):
        yield digits


def _words(text: str) -> list[str]:
    return _WORD.findall(text)

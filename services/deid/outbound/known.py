"""What is known of a patient, in the forms in which a text may say it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from services.deid.outbound.vocabulary import TITLES

_WORD: Final = re.compile(r"[^\W_]+")
_SHORTEST_WORD: Final = 2
_SHORTEST_RUN: Final = 4
_FILLERS: Final = TITLES | {"von", "de", "da", "dos", "van", "der", "jr", "phd"}
# What a reader of print takes for each other.
_ALIKE: Final = str.maketrans("015846279i|", "olsbagztgll")
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("ii", "u"))


@dataclass(frozen=True, slots=True)
class Known:
    """What must not leave.

    Attributes:
        words: Folded words and numbers, each of which identifies.
        runs: The same and whole names and numbers without blanks, as a bad reader sees them.
        longest: Characters of the longest of the runs.
    """

    words: frozenset[str]
    runs: frozenset[str]
    longest: int

    @classmethod
    def of(
        cls, names: Iterable[str], numbers: Iterable[str], uids: Iterable[str], dates: Iterable[str]
    ) -> Known:
        """Return what is known, of names (PS3.5 PN or plain), numbers, UIDs and dates."""
        names, rest = list(names), [*numbers, *uids, *dates]
        words = frozenset(word for text in (*names, *rest) for word in _identifying(text))
        squeezed = {"".join(_WORD.findall(fold(text))) for text in (*_readings(names), *rest)}
        runs = {alike(text) for text in words | squeezed if len(text) >= _SHORTEST_RUN}
        return cls(words, frozenset(runs), max(map(len, runs), default=0))

    def has_word(self, folded: str) -> bool:
        """Tell whether a folded word is known, also in the possessive or the plural."""
        word = folded.removesuffix("'s")
        plural = word.endswith("s") and len(word) > _SHORTEST_RUN
        return word in self.words or (plural and word[:-1] in self.words)


def fold(text: str) -> str:
    """Return a text without case, accents and forms of compatibility."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in decomposed if not unicodedata.combining(one)).casefold()


def alike(folded: str) -> str:
    """Return a folded text with what looks alike made equal, as in "d0e" and "doe"."""
    text = folded.translate(_ALIKE)
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def _identifying(text: str) -> Iterator[str]:
    for word in _WORD.findall(fold(text)):
        if len(word) >= _SHORTEST_WORD and word not in _FILLERS:
            yield word


def _readings(names: Iterable[str]) -> Iterator[str]:
    """Yield names family first and given first, each group of a PN for itself."""
    for name in names:
        for group in name.split("="):
            parts = [part for part in re.split(r"[\^\s,]+", group) if part]
            yield "".join(parts)
            yield "".join([*parts[1:], *parts[:1]])

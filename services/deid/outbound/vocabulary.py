"""The words that may leave, and what is known of those among them that people are called."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from services.deid.descriptors import clinical_words


def _lines(name: str) -> list[str]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def _listed(name: str) -> frozenset[str]:
    return frozenset(word for line in _lines(name) for word in line.split())


_KINDS: Final = {
    kind: frozenset(words.split())
    for kind, _, words in (line.partition(": ") for line in _lines("word_kinds.txt"))
}
TITLES: Final = _KINDS["titles"]
"""What stands before a name."""
NEGATIONS: Final = _KINDS["negations"]
"""Without these a sentence says the opposite."""
UNITS: Final = _KINDS["units"]
NUMBER_WORDS: Final = _KINDS["numbers"]
FUNCTION_WORDS: Final = _KINDS["grammar"]
"""Words that say nothing of what a number before them counts."""


@cache
def allowed_words() -> frozenset[str]:
    """Return the words that may leave, casefolded, of two letters or more, and "a"."""
    words = _listed("report_words.txt") | clinical_words()
    words -= _KINDS["months"] | _KINDS["days"] | TITLES
    return frozenset(word for word in words if len(word) > 1 and word.isascii()) | {"a", "may"}


@cache
def name_words() -> frozenset[str]:
    """Return words that may leave and that people are called, too."""
    return _listed("name_words.txt") & allowed_words()

"""Words by which studies are found."""

from __future__ import annotations

import pytest

from services.coordinator.archive.words import indexed_words, prefix_query, sought_words

_WORDS = [
    ("Müller^Ångström", ["muller", "angstrom"]),
    ("STRASSE", ["strasse"]),
    ("Straße", ["strasse"]),
    ("  a \t b\n", ["a", "b"]),
    ("%", ["%"]),
    ("", []),
    ("^=", []),
]


@pytest.mark.parametrize(("text", "words"), _WORDS)
def test_words_have_neither_case_nor_accents(text: str, words: list[str]) -> None:
    assert sought_words(text) == words


def test_a_word_with_punctuation_is_found_by_its_parts() -> None:
    words = indexed_words("O'Neil^Anne-Marie", "ACC-12")

    assert words == ["12", "acc", "acc-12", "anne", "anne-marie", "marie", "neil", "o", "o'neil"]


def test_words_are_bounded_in_length_and_number() -> None:
    words = indexed_words("x" * 10_000, " ".join(str(n) for n in range(10_000)))

    assert len(words) == 256
    assert max(map(len, words)) == 64


def test_quotes_and_backslashes_are_quoted_in_a_query() -> None:
    assert prefix_query(["o'n\\", "b"]) == "'o''n\\\\':* & 'b':*"

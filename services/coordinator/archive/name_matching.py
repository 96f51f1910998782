"""Person names as conditions: without case and accents (PS3.4 C.2.2.2.1 leaves that to us)."""

from __future__ import annotations

import re
from typing import Final

from services.coordinator.archive.keys import Key
from services.coordinator.archive.matching import AnyOf, Condition, Wildcard, like, literally
from services.coordinator.archive.terms import Term
from services.coordinator.archive.words import (
    folded,
    name_key,
    parted,
    prefix_query,
    sought_words,
)
from services.runtime.errors import InvalidFieldError

_INDEXED: Final = "PatientName"
# Few words are enough for the index to leave little over; the name itself decides.
_MAX_WORDS: Final = 4
_PUNCTUATION: Final = "'^=,;.-_/\\''()[]\"`\u2018\u2019\u2010\u2013\u2014\u00b7\u30fb'"


def name_terms(key: Key, condition: Condition, *, fuzzy: bool) -> list[Term]:
    """Return the conditions of a person name.

    Any one component group of a name (alphabetic, ideographic, phonetic), or all of them, may be
    what matches. The index of words narrows the search, the name decides.

    Args:
        key: The attribute.
        condition: How it must match.
        fuzzy: Whether values match by the beginnings of any words.
    """
    if isinstance(condition, AnyOf):
        return _fuzzy(key, condition) if fuzzy else _exact(key, condition)
    if isinstance(condition, Wildcard):
        pattern = like(folded(condition.pattern.strip(" ")))
        whole = Term(f"{key.column} LIKE $?::text", (f"%={pattern}=%",))
        return [*_narrowed(key, [_sure_words(condition.pattern)]), whole]
    raise InvalidFieldError(key.keyword, "values or a wildcard")


def _exact(key: Key, condition: AnyOf) -> list[Term]:
    patterns = [f"%{literally(name_key(value))}%" for value in condition.values]
    narrowed = _narrowed(key, [prefix_query(_first(value)) for value in condition.values])
    return [*narrowed, Term(f"{key.column} LIKE ANY ($?::text[])", (patterns,))]


def _fuzzy(key: Key, condition: AnyOf) -> list[Term]:
    spaced = f"(' ' || translate({key.column}, {_PUNCTUATION}, repeat(' ', 32)))"
    sought = [parted(value) for value in condition.values]
    names = [[f"% {literally(word)}%" for word in words] for words in sought]
    narrowed = _narrowed(key, [prefix_query(words[:_MAX_WORDS]) for words in sought])
    if len(names) == 1:
        return [*narrowed, Term(f"{spaced} LIKE ALL ($?::text[])", (names[0],))]
    anyone = " OR ".join(f"{spaced} LIKE ALL ($?::text[])" for _ in names)
    return [*narrowed, Term(f"({anyone})", tuple(names))]


def _narrowed(key: Key, queries: list[str]) -> list[Term]:
    if key.keyword != _INDEXED or not all(queries):
        return []
    anyone = " | ".join(f"({query})" for query in queries)
    return [Term("s.search @@ $?::text::tsquery", (anyone,))]


def _first(value: str) -> list[str]:
    return sought_words(value)[:_MAX_WORDS]


def _sure_words(pattern: str) -> str:
    """Return a query for the words that a pattern surely holds from their beginning on."""
    words = []
    for word in sought_words(pattern):
        beginning = re.split(r"[*?]", word, maxsplit=1)[0]
        if beginning:
            words.append(beginning)
    return prefix_query(words[:_MAX_WORDS])

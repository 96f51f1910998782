"""Matching keys as conditions of a statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from services.coordinator.archive.instants import combined, date_terms, time_terms
from services.coordinator.archive.keys import Key, Kind, Level, key_of
from services.coordinator.archive.matching import (
    AnyOf,
    Condition,
    Match,
    Range,
    Wildcard,
    like,
    literally,
    number,
)
from services.coordinator.archive.name_matching import name_terms
from services.coordinator.archive.terms import Term, either
from services.runtime.errors import InvalidFieldError

IDENTITY: Final = ("PatientID", "IssuerOfPatientID")
"""Keywords that together name a patient."""
# The indexes hold beginnings: a value of any length must fit a page.
_BEGINNING: Final = 64


def terms_of(
    matches: Sequence[Match],
    level: Level,
    *,
    fuzzy_names: bool = False,
    linked: Sequence[UUID] = (),
) -> list[Term]:
    """Return the conditions of matching keys, to be AND-ed.

    Args:
        matches: The keys.
        level: Level of the query.
        fuzzy_names: Whether names match by the beginnings of any words.
        linked: Our ids of patients merged with those of the Patient IDs sought: their studies
            match too.

    Raises:
        InvalidFieldError: An attribute is not matched at this level, or not in this way.
    """
    identity = [m for m in matches if m.keyword in IDENTITY] if linked else []
    rest = [m for m in matches if m not in identity]
    terms = _terms(rest, level, fuzzy_names=fuzzy_names)
    if identity:
        merged = Term("s.patient_id = ANY ($?::uuid[])", (list(linked),))
        terms.append(either(_terms(identity, level, fuzzy_names=False), merged))
    return terms


def _terms(matches: Sequence[Match], level: Level, *, fuzzy_names: bool) -> list[Term]:
    terms, together = combined(matches)
    for match in matches:
        key = key_of(match.keyword, level)
        if isinstance(match.condition, Wildcard) and match.condition.universal:
            continue
        if key.kind is Kind.NAME:
            terms += name_terms(key, match.condition, fuzzy=fuzzy_names)
        elif match.keyword not in together:
            terms += _TERMS[key.kind](key, match.condition)
    return terms


def _text_terms(key: Key, condition: Condition) -> list[Term]:
    if isinstance(condition, AnyOf):
        values = [value.strip(" ") for value in condition.values]
        beginnings = [value[:_BEGINNING] for value in values]
        narrowed = Term(f"left({key.column}, 64) = ANY ($?::text[])", (beginnings,))
        exact = Term(f"{key.column} = ANY ($?::text[])", (values,))
        return [narrowed, exact] if key.beginning else [exact]
    if isinstance(condition, Wildcard):
        pattern = condition.pattern.strip(" ")
        beginning = literally(condition.beginning.strip(" ")[:_BEGINNING]) + "%"
        narrowed = Term(f"left({key.column}, 64) LIKE $?::text", (beginning,))
        whole = Term(f"{key.column} LIKE $?::text", (like(pattern),))
        return [narrowed, whole] if key.beginning and len(beginning) > 1 else [whole]
    raise InvalidFieldError(key.keyword, "values or a wildcard")


def _uid_terms(key: Key, condition: Condition) -> list[Term]:
    if not isinstance(condition, AnyOf):
        raise InvalidFieldError(key.keyword, "values, without wildcards")
    values = [value.strip(" ") for value in condition.values]
    return [Term(f"{key.column} = ANY ($?::text[])", (values,))]


def _set_terms(key: Key, condition: Condition) -> list[Term]:
    if isinstance(condition, AnyOf):
        return [Term(f"{key.column} && $?::text[]", (list(condition.values),))]
    if isinstance(condition, Wildcard):
        text = f"EXISTS (SELECT FROM unnest({key.column}) AS one WHERE one LIKE $?::text)"
        return [Term(text, (like(condition.pattern),))]
    raise InvalidFieldError(key.keyword, "values or a wildcard")


def _number_terms(key: Key, condition: Condition) -> list[Term]:
    if isinstance(condition, AnyOf):
        values = [number(key.keyword, value) for value in condition.values]
        return [Term(f"{key.column} = ANY ($?::integer[])", (values,))]
    if isinstance(condition, Range):
        ends = ((condition.first, ">="), (condition.last, "<="))
        return [
            Term(f"{key.column} {sign} $?::integer", (number(key.keyword, end),))
            for end, sign in ends
            if end
        ]
    raise InvalidFieldError(key.keyword, "values or a range")


_TERMS: Final[Mapping[Kind, Callable[[Key, Condition], list[Term]]]] = {
    Kind.TEXT: _text_terms,
    Kind.UID: _uid_terms,
    Kind.SET: _set_terms,
    Kind.NUMBER: _number_terms,
    Kind.DATE: date_terms,
    Kind.TIME: time_terms,
}

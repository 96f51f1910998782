"""Dates and times as conditions (PS3.4 C.2.2.2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.coordinator.archive.keys import DATE_OF_TIME, KEYS, Key
from services.coordinator.archive.matching import (
    AnyOf,
    Condition,
    Match,
    Range,
    Wildcard,
    day,
    like,
    moments,
)
from services.coordinator.archive.terms import Term
from services.runtime.errors import InvalidFieldError

_MIDNIGHT: Final = "000000000000"
_DAY_TEXT: Final = "'^[0-9]{4}[.]?[0-9]{2}[.]?[0-9]{2}$'"
_TIME_TEXT: Final = "'^[0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.][0-9]{1,6})?)?)?$'"


def date_terms(key: Key, condition: Condition) -> list[Term]:
    """Return the conditions of a date; what was sent and is no date never matches."""
    column, known = _day(key), _known_day(key)
    if isinstance(condition, AnyOf):
        days = [day(key.keyword, value) for value in condition.values]
        return [known, Term(f"{column} = ANY ($?::text[])", (days,))]
    if isinstance(condition, Wildcard):
        return [known, Term(f"{column} LIKE $?::text", (like(condition.pattern),))]
    ends = ((condition.first, ">="), (condition.last, "<="))
    sides = [Term(f"{column} {sign} $?", (day(key.keyword, end),)) for end, sign in ends if end]
    return [known, *sides]


def time_terms(key: Key, condition: Condition) -> list[Term]:
    """Return the conditions of a time; what was sent and is no time never matches."""
    column, known = _instant(key), Term(f"{key.column} ~ {_TIME_TEXT}")
    if isinstance(condition, Wildcard):
        raise InvalidFieldError(key.keyword, "values or a range")
    if isinstance(condition, AnyOf):
        spans = [moments(key.keyword, value) for value in condition.values]
        within = (
            "EXISTS (SELECT FROM unnest($?::text[], $?::text[]) AS span (first, last) "
            f"WHERE {column} BETWEEN span.first AND span.last)"
        )
        return [known, Term(within, ([first for first, _ in spans], [last for _, last in spans]))]
    sides = [known]
    if condition.first:
        sides.append(Term(f"{column} >= $?", (moments(key.keyword, condition.first)[0],)))
    if condition.last:
        sides.append(Term(f"{column} <= $?", (moments(key.keyword, condition.last)[1],)))
    return sides


def combined(matches: Sequence[Match]) -> tuple[list[Term], frozenset[str]]:
    """Return the conditions of dates and times that are ranges of instants, and those times.

    Where both a date and its time are ranges, the time bounds the first and the last day alone.
    """
    ranges = {m.keyword: m.condition for m in matches if isinstance(m.condition, Range)}
    terms: list[Term] = []
    done: set[str] = set()
    for time, date in DATE_OF_TIME.items():
        if time in ranges and date in ranges:
            terms += _between(KEYS[date], KEYS[time], ranges[date], ranges[time])
            done.add(time)
    return terms, frozenset(done)


def studied_days(matches: Sequence[Match]) -> tuple[str, str] | None:
    """Return the first and the last Study Date of a range, as texts that bound them."""
    for match in matches:
        if match.keyword == "StudyDate" and isinstance(match.condition, Range):
            first, last = match.condition.first, match.condition.last
            return (
                day("StudyDate", first) if first else "0",
                day("StudyDate", last) if last else ":",
            )
    return None


def _between(date: Key, time: Key, days: Range, times: Range) -> list[Term]:
    column = (
        f"({_day(date)} || CASE WHEN {time.column} ~ {_TIME_TEXT} "
        f"THEN {_instant(time)} ELSE '{_MIDNIGHT}' END)"
    )
    terms = []
    if days.first:
        first = moments(time.keyword, times.first or "00")[0]
        terms.append(Term(f"{column} >= $?", (day(date.keyword, days.first) + first,)))
    if days.last:
        last = moments(time.keyword, times.last or "23")[1]
        terms.append(Term(f"{column} <= $?", (day(date.keyword, days.last) + last,)))
    return terms


def _day(key: Key) -> str:
    if key.keyword == "StudyDate":
        return "s.study_day"
    return f"left(translate({key.column}, '.', ''), 8)"


def _known_day(key: Key) -> Term:
    if key.keyword == "StudyDate":
        return Term("s.study_day <> ''")
    return Term(f"{key.column} ~ {_DAY_TEXT}")


def _instant(key: Key) -> str:
    return f"rpad(translate({key.column}, ':.', ''), 12, '0')"

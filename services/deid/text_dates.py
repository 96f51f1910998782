"""Dates and ages that stand in text: dates moved like the patient's others, ages capped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Final

from services.deid.dates import OLDEST_AGE

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
_MONTH: Final = rf"({'|'.join(_MONTHS)})([a-z]*)"
_YMD: Final = r"(?<![\d./-])((?:19|20)\d{2})([-./]?)(\d{2})\2(\d{2})(?![\d/-]|\.\d)"
_DMY: Final = r"(?<![\d./-])(\d{1,2})\.(\d{1,2})\.((?:19|20)\d{2})(?![\d/-]|\.\d)"
_DAY_FIRST: Final = rf"\b(\d{{1,2}})([ -]){_MONTH}([ -])((?:19|20)\d{{2}})\b"
_MONTH_FIRST: Final = rf"\b{_MONTH} (\d{{1,2}})(,? )((?:19|20)\d{{2}})\b"
# One pattern, so that what one form left alone is not taken for another: 18 groups in all.
_DATE: Final = re.compile(f"{_YMD}|{_DMY}|{_DAY_FIRST}|{_MONTH_FIRST}", re.IGNORECASE | re.ASCII)
_YEARS: Final = r"y|yo|yr|yrs|year|years|jahre|jährig|ans|años|anni"
_AGE: Final = re.compile(
    rf"(?<![\d.])(\d{{2,3}})(?=[\s-]*(?:{_YEARS})(?![^\W\d_]))|(?<=age )(\d{{2,3}})\b"
    rf"|(?<=aged )(\d{{2,3}})\b|(?<=age: )(\d{{2,3}})\b",
    re.IGNORECASE,
)


def capped_ages(text: str) -> str:
    """Return a text in which nobody is older than 90."""
    return _AGE.sub(lambda found: _capped(found[0]), text)


def _capped(number: str) -> str:
    return str(OLDEST_AGE + 1) if int(number) > OLDEST_AGE else number


def parts_by_date(text: str, days: int | None, own: frozenset[str]) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text: whether it is a date that may stay, and the part.

    A date may stay when dates are moved, and then it is moved. Others are left out, and so is one
    that is a number or date of the patient's header. 12/05/1970 is not taken for a date, because
    nobody knows which: it is a part like any other.

    Args:
        text: Any text.
        days: By how many days dates move; None when none may stay.
        own: Words, numbers and dates (YYYYMMDD) of the patient's header.
    """
    at = 0
    for found in _DATE.finditer(text):
        yield False, text[at : found.start()]
        moved = _moved(found, days, own) if days is not None else ""
        if moved:
            yield True, moved
        at = found.end()
    yield False, text[at:]


def _moved(found: re.Match[str], days: int, own: frozenset[str]) -> str:
    groups = found.groups()
    for begin, end, read, write in _FORMS:
        if groups[begin] is not None:
            part = groups[begin:end]
            try:
                day = date(*read(part))
                return "" if f"{day:%Y%m%d}" in own else write(part, day + timedelta(days))
            except (ValueError, OverflowError):
                return ""  # no day of the calendar
    return ""


def _number(month: str) -> int:
    return _MONTHS.index(month.lower()) + 1


def _name(day: date) -> str:
    return _MONTHS[day.month - 1].title()


Part = tuple[str, ...]
# First and last group of a form, how its day is read, and how another is written.
_FORMS: Final[
    tuple[tuple[int, int, Callable[[Part], tuple[int, int, int]], Callable[[Part, date], str]], ...]
] = (
    (
        *(0, 4),
        lambda part: (int(part[0]), int(part[2]), int(part[3])),
        lambda part, day: f"{day.year:04}{part[1]}{day.month:02}{part[1]}{day.day:02}",
    ),
    (
        *(4, 7),
        lambda part: (int(part[2]), int(part[1]), int(part[0])),
        lambda _, day: f"{day.day:02}.{day.month:02}.{day.year:04}",
    ),
    (
        *(7, 13),
        lambda part: (int(part[5]), _number(part[2]), int(part[0])),
        lambda part, day: f"{day.day:02}{part[1]}{_name(day)}{part[4]}{day.year:04}",
    ),
    (
        *(13, 18),
        lambda part: (int(part[4]), _number(part[0]), int(part[2])),
        lambda part, day: f"{_name(day)} {day.day:02}{part[3]}{day.year:04}",
    ),
)

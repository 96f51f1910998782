"""Dates and times moved by whole days (PS3.5 section 6.2: DA, DT, TM)."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

OLDEST_AGE: Final = 89
_DATE: Final = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", re.ASCII)
_DATE_TIME: Final = re.compile(
    r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2}(?:\.\d{1,6})?)?([+-]\d{4})?", re.ASCII
)
_TIME: Final = re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{1,6})?)?)?", re.ASCII)
_AGE: Final = re.compile(r"(\d{3})([DWMY])", re.ASCII)
_EARLIEST: Final = date(1, 1, 1)


def shifted_date(value: str, days: int) -> str:
    """Return a DA moved by some days; empty when it is no date or would leave the calendar."""
    found = _DATE.fullmatch(value.strip(" \0"))
    day = _day(*found.groups()) if found else None
    moved = _moved(day, days) if day else None
    return moved.strftime("%Y%m%d").rjust(8, "0") if moved else ""


def shifted_date_time(value: str, days: int) -> str:
    """Return a DT moved by some days, its time and zone as they are; empty when it is none.

    One that stops before the day cannot be moved by days and becomes empty.
    """
    found = _DATE_TIME.fullmatch(value.strip(" \0"))
    if found is None:
        return ""
    year, month, of_month, *rest = found.groups()
    day = _day(year, month, of_month) if month and of_month else None
    moved = _moved(day, days) if day else None
    if moved is None:
        return ""
    return moved.strftime("%Y%m%d").rjust(8, "0") + "".join(part or "" for part in rest)


def kept_time(value: str) -> str:
    """Return a TM as it is: whole days leave it alone; empty when it is none."""
    text = value.strip(" \0")
    return text if _TIME.fullmatch(text) else ""


def capped_age(value: str) -> str:
    """Return an AS; one over 89 years becomes 090Y, one that is no age is empty."""
    found = _AGE.fullmatch(value.strip(" \0"))
    if found is None:
        return ""
    count, unit = int(found[1]), found[2]
    years = {"Y": count, "M": count / 12, "W": count / 52, "D": count / 365}[unit]
    return "090Y" if years > OLDEST_AGE else found[0]


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _moved(day: date, days: int) -> date | None:
    if (day - _EARLIEST).days + days < 0:
        return None
    return day + timedelta(days)

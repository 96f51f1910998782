"""Values of matching keys: what each kind of matching takes (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from services.runtime.errors import InvalidFieldError

MAX_VALUES: Final = 1000
MAX_TEXT: Final = 1024
_DAY: Final = re.compile(r"([0-9]{4})\.?([0-9]{2})\.?([0-9]{2})", re.ASCII)
_TIME: Final = re.compile(
    r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.([0-9]{1,6}))?)?)?", re.ASCII
)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,12}", re.ASCII)
_INT32: Final = range(-(1 << 31), 1 << 31)
_SPECIAL: Final = re.compile(r"[\\%_]")


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Single value and list of UID matching: one of these."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """'*' stands for any characters, '?' for one."""

    pattern: str

    @property
    def universal(self) -> bool:
        """Whether it matches everything."""
        return not self.pattern.strip("*")

    @property
    def beginning(self) -> str:
        """What stands before the first wildcard."""
        return re.split(r"[*?]", self.pattern, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends included; empty is open."""

    first: str
    last: str


Condition = AnyOf | Wildcard | Range


@dataclass(frozen=True, slots=True)
class Match:
    """One matching key."""

    keyword: str
    condition: Condition


def day(keyword: str, text: str) -> str:
    """Return a date (DA, or with the dots of ACR-NEMA) as YYYYMMDD.

    Raises:
        InvalidFieldError: Not a date.
    """
    match = _DAY.fullmatch(text.strip())
    if match is None:
        raise InvalidFieldError(keyword, "dates as YYYYMMDD")
    return "".join(match.groups())


def moments(keyword: str, text: str) -> tuple[str, str]:
    """Return the first and the last instant of a time (TM) as HHMMSSFFFFFF.

    A time that leaves out its last components stands for all instants it may mean.

    Raises:
        InvalidFieldError: Not a time.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InvalidFieldError(keyword, "times as HHMMSS.FFFFFF, or the beginning of that")
    digits = "".join(filter(None, match.groups()))
    return digits.ljust(12, "0"), digits + "235959999999"[len(digits) :]


def number(keyword: str, text: str) -> int:
    """Return a whole number (IS) of 32 bits.

    Raises:
        InvalidFieldError: Not one.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text) or int(text) not in _INT32:
        raise InvalidFieldError(keyword, "whole numbers of 32 bits")
    return int(text)


def like(pattern: str) -> str:
    """Return a DICOM pattern as one of SQL's LIKE; what LIKE takes for special is literal."""
    return _SPECIAL.sub(r"\\\g<0>", pattern).replace("*", "%").replace("?", "_")


def literally(text: str) -> str:
    """Return a text as the part of a LIKE pattern that means itself."""
    return _SPECIAL.sub(r"\\\g<0>", text)

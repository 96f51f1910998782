"""What keys ask for: the matching kinds of PS3.4 C.2.2.2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.query_retrieve.identifier import Key

MAX_VALUES: Final = 1_000
_WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBER_VRS: Final = frozenset({"IS", "US", "SS", "UL", "SL"})
_DATE: Final = re.compile(r"[0-9]{8}", re.ASCII)
_OLD_DATE: Final = re.compile(r"([0-9]{4})\.([0-9]{2})\.([0-9]{2})", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)
_UID: Final = re.compile(r"[0-9.]{1,64}", re.ASCII)


class MatchingError(Exception):
    """A key's value cannot be matched.

    Attributes:
        rule: What is wrong, without the value.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Values:
    """One of these, exactly: single value and list of UID matching."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """A pattern: ``*`` stands for any characters, ``?`` for one."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Range:
    """Between two dates or times, both included; "" is open."""

    start: str
    end: str


Condition = Values | Wildcard | Range


def condition(key: Key, vr: str) -> Condition | None:
    """Return what a key's values ask for; None for universal matching.

    Args:
        key: The key as sent.
        vr: The VR of PS3.6, whatever the key says.

    Raises:
        MatchingError: No matching kind takes the value, or there are too many.
    """
    if not key.values or all(set(value) == {"*"} for value in key.values):
        return None
    if len(key.values) > MAX_VALUES:
        raise MatchingError("too many values")
    if vr in ("DA", "TM"):
        return _moment(key.values, vr)
    if vr == "UI":
        return Values(_each(key.values, _UID, "not a UID"))
    if vr in _NUMBER_VRS:
        return Values(tuple(str(int(v)) for v in _each(key.values, _NUMBER, "not a number")))
    if vr in _WILDCARD_VRS and any(char in value for value in key.values for char in "*?"):
        if len(key.values) > 1:
            raise MatchingError("several values with a wildcard")
        return Wildcard(key.values[0])
    return Values(tuple(_unpadded(value, vr) for value in key.values))


def _moment(values: Sequence[str], vr: str) -> Condition:
    if len(values) > 1:
        raise MatchingError("several dates or times")
    start, dash, end = values[0].partition("-")
    if not dash:
        return Values((_checked(start, vr),))
    if not (start.strip() or end.strip()):
        raise MatchingError("a range without ends")
    return Range(_end(start, vr), _end(end, vr))


def _end(text: str, vr: str) -> str:
    return _checked(text, vr) if text.strip() else ""


def _checked(text: str, vr: str) -> str:
    # The form of ACR-NEMA is still sent (PS3.5 Table 6.2-1).
    text = _OLD_DATE.sub(r"\1\2\3", text.strip()) if vr == "DA" else text.strip().replace(":", "")
    if (_DATE if vr == "DA" else _TIME).fullmatch(text) is None:
        raise MatchingError("not a date or time")
    return text


def _each(values: Sequence[str], form: re.Pattern[str], rule: str) -> tuple[str, ...]:
    if not all(form.fullmatch(value) for value in values):
        raise MatchingError(rule)
    return tuple(values)


def _unpadded(value: str, vr: str) -> str:
    return value.rstrip("^= ") if vr == "PN" else value

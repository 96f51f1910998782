"""How DICOM values and numbers are written for people; nothing is added to them."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {
    "[hnsf'U]": "HU",
    "mL": "mL",
    "mm": "mm",
    "mm2": "mm²",
    "mm3": "mm³",
    "cm": "cm",
    "cm2": "cm²",
    "%": "%",
    "1": "",
    "kg": "kg",
    "g/mL": "g/mL",
}
_ONE_DECIMAL: Final = frozenset({"mL", "[hnsf'U]"})
_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TIME: Final = re.compile(r"(\d{2})(\d{2})(\d{2})?(\.\d+)?")


def unit(ucum: str) -> str:
    """Return the usual sign of a UCUM unit; an unknown one as it is."""
    return _UNITS.get(ucum, ucum)


def number(value: float, ucum: str = "") -> str:
    """Return a number as it is printed.

    Millilitres and Hounsfield units always have one decimal and commas between thousands, as on
    the command line. Other units have a precision that suits their size: about four digits.
    """
    size = abs(value)
    if size >= 1e7:
        return f"{value:.3e}"
    if ucum in _ONE_DECIMAL:
        # Adding zero takes the sign from a negative zero.
        return f"{round(value, 1) + 0.0:,.1f}"
    if value == 0:
        return "0"
    if size < 1e-3:
        return f"{value:.3e}"
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 4
    return f"{value:.{digits}f}"


def date(value: str) -> str:
    """Return a DA value as year-month-day; what is no date as it is (PS3.5 6.2)."""
    match = _DATE.fullmatch(value.strip())
    return "-".join(match.groups()) if match else value


def time(value: str) -> str:
    """Return a TM value to the second; what is no time as it is (PS3.5 6.2)."""
    match = _TIME.fullmatch(value.strip())
    return ":".join(part for part in match.groups()[:3] if part) if match else value


def person_name(value: str) -> str:
    """Return a PN value in reading order, family name first (PS3.5 6.2.1).

    Groups, the same name in other scripts, are separated by a slash.
    """
    groups = (_name(group) for group in value.split("="))
    return " / ".join(group for group in groups if group)


def _name(group: str) -> str:
    parts = [part.strip() for part in group.split("^")]
    family, rest = parts[0], " ".join(part for part in parts[1:] if part)
    return ", ".join(part for part in (family, rest) if part)

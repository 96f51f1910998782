"""Rules of the worklist's fields, those of DICOM's value representations (PS3.5 section 6.2)."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from services.dicom.uids import valid_uid
from services.runtime.errors import InvalidFieldError

SHORT: Final = 16
LONG: Final = 64
NAME: Final = 324
_AE_TITLE: Final = re.compile(r"(?! +$)[\x20-\x5b\x5d-\x7e]{1,16}", re.ASCII)
_MODALITY: Final = re.compile(r"[A-Z0-9_ ]{1,16}", re.ASCII)
_TIME: Final = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9])([0-5][0-9])?", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{8}", re.ASCII)


def text(field: str, value: str, longest: int, *, needed: bool = False) -> str:
    """Return a text without spaces around it.

    Raises:
        InvalidFieldError: It is too long, holds a control character or a backslash, or is empty
            and needed.
    """
    stripped = value.strip()
    if len(stripped) > longest or (needed and not stripped):
        raise InvalidFieldError(field, f"{1 if needed else 0} to {longest} characters")
    if "\\" in stripped or any(not one.isprintable() for one in stripped):
        raise InvalidFieldError(field, "neither backslash nor control characters")
    return stripped


def day(field: str, value: str, *, needed: bool = False) -> str:
    """Return a date as YYYYMMDD.

    Raises:
        InvalidFieldError: It is no date, or is empty and needed.
    """
    if not value and not needed:
        return ""
    if _DAY.fullmatch(value):
        try:
            date(int(value[:4]), int(value[4:6]), int(value[6:]))
        except ValueError:
            pass
        else:
            return value
    raise InvalidFieldError(field, "a date, YYYYMMDD")


def time_of_day(field: str, value: str) -> str:
    """Return a time as HHMMSS.

    Raises:
        InvalidFieldError: It is neither HHMM nor HHMMSS.
    """
    match = _TIME.fullmatch(value)
    if match is None:
        raise InvalidFieldError(field, "a time, HHMM or HHMMSS")
    return value.ljust(6, "0")


def ae_title(field: str, value: str) -> str:
    """Return an AE title without spaces around it.

    Raises:
        InvalidFieldError: It is none.
    """
    stripped = value.strip()
    if not _AE_TITLE.fullmatch(stripped):
        raise InvalidFieldError(field, "an AE title, 1 to 16 characters of ASCII")
    return stripped


def modality(field: str, value: str) -> str:
    """Return a modality in upper case.

    Raises:
        InvalidFieldError: It is none.
    """
    upper = value.strip().upper()
    if not _MODALITY.fullmatch(upper):
        raise InvalidFieldError(field, "1 to 16 letters and digits, e.g. CT")
    return upper


def uid(field: str, value: str, *, needed: bool = False) -> str:
    """Return a UID.

    Raises:
        InvalidFieldError: It is none (PS3.5 section 9.1), or is empty and needed.
    """
    if (value or needed) and not valid_uid(value):
        raise InvalidFieldError(field, "a UID (PS3.5 section 9.1)")
    return value


def one_of(field: str, value: str, *allowed: str) -> str:
    """Return a value in upper case; the empty one is allowed.

    Raises:
        InvalidFieldError: It is none of those allowed.
    """
    upper = value.strip().upper()
    if upper and upper not in allowed:
        raise InvalidFieldError(field, f"one of {', '.join(allowed)}, or empty")
    return upper

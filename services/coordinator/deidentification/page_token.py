"""Where lists of de-identifications go on."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Final

from services.coordinator.deidentification.objects import Deidentification, DeidentifiedObject
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

_LONGEST: Final = 256
_LARGEST: Final = 2**31


def series_token(last: Deidentification) -> str:
    """Return the token of the page after a series."""
    return _encoded(last.update_time.isoformat(), last.deidentification_id)


def series_after(token: str) -> tuple[datetime, str] | None:
    """Return change time and id of the series a page begins after; None for the first page.

    Raises:
        InvalidFieldError: It is not one of our tokens.
    """
    if not token:
        return None
    place, row_id = _decoded(token)
    try:
        moment = datetime.fromisoformat(place)
    except ValueError:
        raise _wrong() from None
    if moment.tzinfo is None:
        raise _wrong()
    return moment, row_id


def object_token(last: DeidentifiedObject) -> str:
    """Return the token of the page after an object."""
    return _encoded(str(last.instance_number), last.instance_id)


def object_after(token: str) -> tuple[int, str] | None:
    """Return number and id of the object a page begins after; None for the first page.

    Raises:
        InvalidFieldError: It is not one of our tokens.
    """
    if not token:
        return None
    place, row_id = _decoded(token)
    try:
        number = int(place)
    except ValueError:
        raise _wrong() from None
    if not -_LARGEST <= number < _LARGEST:
        raise _wrong()
    return number, row_id


def _encoded(place: str, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{place}|{row_id}".encode("ascii")).decode("ascii")


def _decoded(token: str) -> tuple[str, str]:
    try:
        if len(token) <= _LONGEST:
            text = base64.urlsafe_b64decode(token.encode("ascii")).decode("ascii")
            place, _, row_id = text.partition("|")
            if is_id(row_id):
                return place, row_id
    except (ValueError, binascii.Error):
        pass
    raise _wrong()


def _wrong() -> InvalidFieldError:
    return InvalidFieldError("page_token", "a token of ours")

"""Where lists of the worklist go on."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Final

from services.coordinator.worklist.performed_step import PerformedRecord
from services.coordinator.worklist.scheduled_step import StepKey
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

_START: Final = re.compile(r"[0-9]{14}", re.ASCII)
_LONGEST: Final = 256


def step_token(key: StepKey) -> str:
    """Return the token of the page after a scheduled step."""
    return _encoded(key.start, key.scheduled_step_id)


def step_key(token: str) -> StepKey | None:
    """Return the step a page begins after; None for the first page.

    Raises:
        InvalidFieldError: It is not one of our tokens.
    """
    if not token:
        return None
    start, step_id = _decoded(token)
    if not _START.fullmatch(start):
        raise _wrong()
    return StepKey(start, step_id)


def performed_token(record: PerformedRecord) -> str:
    """Return the token of the page after a performed step."""
    return _encoded(record.update_time.isoformat(), record.performed_step_id)


def performed_key(token: str) -> tuple[datetime, str] | None:
    """Return change time and id of the step a page begins after; None for the first page.

    Raises:
        InvalidFieldError: It is not one of our tokens.
    """
    if not token:
        return None
    time, step_id = _decoded(token)
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise _wrong() from None
    if moment.tzinfo is None:
        raise _wrong()
    return moment, step_id


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

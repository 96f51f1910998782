"""Page tokens: where a list goes on, bound to the request they came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from services.coordinator.archive.study import InstanceKey, StudyKey, StudyOrder
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

_FIELD: Final = "page_token"
_MAX_LENGTH: Final = 256
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_DAY: Final = re.compile(r"(?:[0-9]{8})?", re.ASCII)
_INT32: Final = range(-(1 << 31), 1 << 31)


def scope_of(*parts: object) -> str:
    """Return what binds a token to a request: a digest of everything but the page."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Place:
    text: str
    row_id: str


def study_token(key: StudyKey, scope: str) -> str:
    """Return the token of the page after a study."""
    place = key.place
    if isinstance(place, datetime):
        place = str((place - _EPOCH) // _MICROSECOND)
    return _encoded(scope, place, key.study_id)


def study_key(token: str, scope: str, order: StudyOrder) -> StudyKey:
    """Return the study after which a page begins.

    Raises:
        InvalidFieldError: Not a token of ours, or of another request.
    """
    place = _decoded(token, scope)
    if order is StudyOrder.STUDY_DATE_DESCENDING:
        _require(_DAY.fullmatch(place.text) is not None)
        return StudyKey(place.text, place.row_id)
    _require(_INTEGER.fullmatch(place.text) is not None)
    try:
        return StudyKey(_EPOCH + int(place.text) * _MICROSECOND, place.row_id)
    except OverflowError:
        raise _wrong() from None


def instance_token(key: InstanceKey, scope: str) -> str:
    """Return the token of the page after an instance."""
    return _encoded(scope, "" if key.number is None else str(key.number), key.instance_id)


def instance_key(token: str, scope: str) -> InstanceKey:
    """Return the instance after which a page begins.

    Raises:
        InvalidFieldError: Not a token of ours, or of another request.
    """
    place = _decoded(token, scope)
    if not place.text:
        return InstanceKey(None, place.row_id)
    _require(_INTEGER.fullmatch(place.text) is not None and int(place.text) in _INT32)
    return InstanceKey(int(place.text), place.row_id)


def _encoded(scope: str, place: str, row_id: str) -> str:
    text = f"{scope}.{place}.{row_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(token: str, scope: str) -> _Place:
    _require(len(token) <= _MAX_LENGTH)
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (UnicodeError, binascii.Error):
        raise _wrong() from None
    parts = text.split(".")
    _require(len(parts) == 3 and parts[0] == scope and is_id(parts[2]))
    _require(_encoded(*parts) == token)
    return _Place(parts[1], parts[2])


def _require(condition: bool) -> None:
    if not condition:
        raise _wrong()


def _wrong() -> InvalidFieldError:
    return InvalidFieldError(_FIELD, "one that the previous page of the same request gave")

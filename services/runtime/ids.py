"""Our own identifiers: UUIDv7, so that they sort by the time they were made (RFC 9562)."""

from __future__ import annotations

import re
from typing import Final

import uuid_utils

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """Return a new UUIDv7 in lower-case canonical form."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Return whether the text has the form of one of our ids."""
    return _UUID.fullmatch(text) is not None

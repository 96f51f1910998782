"""People and what they may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9._-]{1,64}")


class Role(StrEnum):
    """Named set of permissions given to a person."""

    VIEWER = "viewer"
    TECHNICIAN = "technician"
    RADIOLOGIST = "radiologist"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in.

    Attributes:
        user_id: Our id, UUIDv7.
        name: Sign-in name, unique.
        roles: What the person may do.
        enabled: False when the person may no longer sign in or renew a token.
        create_time: When the user was created, UTC.
    """

    user_id: str
    name: str
    roles: frozenset[Role]
    enabled: bool
    create_time: datetime


def is_name(text: str) -> bool:
    """Return whether the text may be a sign-in name or the name of a client."""
    return _NAME.fullmatch(text) is not None

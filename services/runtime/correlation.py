"""The id that follows one piece of work through every process it passes."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

from services.runtime.ids import new_id

METADATA_KEY: Final = "x-correlation-id"
_VALID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_current: ContextVar[str] = ContextVar("correlation_id", default="")


def accept(candidate: object) -> str:
    """Return the caller's id when it is well formed, else a new one."""
    if isinstance(candidate, str) and _VALID.fullmatch(candidate):
        return candidate
    return new_id()


def set_correlation_id(correlation_id: str) -> None:
    """Use an id for the rest of the running task, its calls and its log lines."""
    _current.set(correlation_id)


def correlation_id() -> str:
    """Return the id of the work being done; empty when there is none."""
    return _current.get()

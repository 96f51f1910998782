"""Why an instance is not taken."""

from __future__ import annotations

from enum import Enum


class RefusalKind(Enum):
    """What a door tells its peer."""

    MISMATCH = "mismatch"
    """The data set is not the instance that was announced."""
    NOT_UNDERSTOOD = "not_understood"
    """The data set breaks the encoding, is cut off, or is out of bounds."""


class RefusedError(Exception):
    """An instance that is not taken, now or later.

    Attributes:
        kind: What a door tells its peer.
        field: Keyword of the attribute, or name of the structure, at fault; no value.
        rule: The rule that was broken, in words of ours; no value.
    """

    def __init__(self, kind: RefusalKind, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.kind = kind
        self.field = field
        self.rule = rule

"""Who a peer says its user is (PS3.7 section D.3.3.7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

USERNAME_AND_PASSCODE: Final = 2
_MALFORMED: Final = 0
_LONGEST_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """The User Identity sub-item of a request (PS3.7 Table D.3-14).

    Attributes:
        kind: Type of the identity; 0 where it is malformed.
        answer_wanted: Whether the peer wants to hear that it was accepted.
        primary: User name, ticket, assertion or token.
        secondary: Passcode.
    """

    kind: int
    answer_wanted: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(repr=False)


def read_identity(item: memoryview) -> UserIdentity:
    """Read the sub-item; what is cut off or far too long is of no kind."""
    kind, wanted = (item[0], item[1] == 1) if len(item) >= 2 else (_MALFORMED, False)
    primary, rest = _sized(item[2:])
    secondary, rest = _sized(rest) if rest is not None else (b"", None)
    whole = rest is not None and max(len(primary), len(secondary)) <= _LONGEST_BYTES
    if not whole:
        return UserIdentity(_MALFORMED, wanted, b"", b"")
    return UserIdentity(kind, wanted, primary, secondary)


def _sized(data: memoryview) -> tuple[bytes, memoryview | None]:
    end = 2 + int.from_bytes(data[:2], "big")
    if len(data) < max(end, 2):
        return b"", None
    return bytes(data[2:end]), data[end:]

"""Whether a peer's user may associate."""

from __future__ import annotations

from typing import Protocol

from gateway.dimse.identity import UserIdentity
from gateway.dimse.negotiation import Rejection


class Identification(Protocol):
    """Judges what peers say of their users."""

    async def rejection(self, identity: UserIdentity | None) -> Rejection | None:
        """Return why the association is refused, or None.

        Args:
            identity: What was said; None where nothing was.
        """
        ...

    def answers(self, identity: UserIdentity | None) -> bool:
        """Tell whether the peer is to hear that its user was accepted."""
        ...


class NoIdentification:
    """Passes over what peers say of their users."""

    async def rejection(self, identity: UserIdentity | None) -> Rejection | None:
        """See ``Identification``."""
        return None

    def answers(self, identity: UserIdentity | None) -> bool:
        """See ``Identification``; what was not checked is not accepted."""
        return False

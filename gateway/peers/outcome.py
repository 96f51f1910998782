"""What became of an instance that was to be sent to a peer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class StoreOutcome(Enum):
    """What became of it."""

    STORED = "stored"
    WARNING = "warning"
    REFUSED = "refused"
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class Sent:
    """One instance and what became of it.

    Attributes:
        sop_instance_uid: SOP Instance UID.
        outcome: What became of it.
        status: What the peer said, as a number; 0 when it said nothing.
        reason: Why it is not there, in words of ours.
    """

    sop_instance_uid: str
    outcome: StoreOutcome
    status: int = 0
    reason: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the peer has it."""
        return self.outcome in (StoreOutcome.STORED, StoreOutcome.WARNING)

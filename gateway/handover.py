"""What doors hand over to the coordinator's side of the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from gateway.source import Source
from gateway.staging import StagedInstance


@dataclass(frozen=True, slots=True)
class Received:
    """An instance whose bytes are durable and that nobody knows of yet.

    Attributes:
        staged: Its bytes and index attributes.
        source: Where it came from.
        receive_time: When its last byte arrived, UTC.
    """

    staged: StagedInstance
    source: Source
    receive_time: datetime


@dataclass(frozen=True, slots=True)
class Departure:
    """A peer that has gone.

    Attributes:
        source: The peer.
        released: Whether it released the association in order.
        stored_count: Instances acknowledged to it.
    """

    source: Source
    released: bool
    stored_count: int


class Disposition(Enum):
    """What became of an instance that is durable."""

    STORED = "stored"
    """It is new."""
    DUPLICATE = "duplicate"
    """The same bytes were there before."""
    CONFLICT = "conflict"
    """Other bytes under its SOP Instance UID were there before; these are kept aside."""
    JOURNALED = "journaled"
    """The coordinator is away; which of the three it is turns out later."""


class HandoverError(Exception):
    """The coordinator refuses an instance; sending it again will not help.

    Attributes:
        rule: The rule that was broken, without values.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

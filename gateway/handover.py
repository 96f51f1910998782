"""What doors hand over to the coordinator's side of the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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


class HandoverError(Exception):
    """The coordinator refuses an instance; sending it again will not help.

    Attributes:
        rule: The rule that was broken, without values.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

"""Requests to know who stands behind a pseudonym."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.coordinator.crosswalk.errors import (
    ReidentificationNotFoundError,
    ReidentificationStateError,
)

LASTS: Final = timedelta(days=1)
"""How long a request may be agreed to, and then how long it may be told."""

MIN_REASON: Final = 10
MAX_REASON: Final = 1000
MAX_PSEUDONYM: Final = 64


class PseudonymKind(StrEnum):
    """What a pseudonym stands for, as ``heimdallr.deid.v1.PseudonymKind`` says."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"


class State(StrEnum):
    """Where a request stands, as ``heimdallr.deid.v1.ReidentificationState`` says."""

    WAITING = "waiting"
    AGREED = "agreed"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Link:
    """A pseudonym and who stands behind it, which the project's key alone opens."""

    kind: PseudonymKind
    pseudonym: str
    sealed: bytes
    patient_tag: str
    key_version: int


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know, and why."""

    project_id: str
    kind: PseudonymKind
    pseudonym: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reidentification:
    """A request."""

    reidentification_id: str
    project_id: str
    kind: PseudonymKind
    pseudonym: str
    reason: str
    requested_by: str
    request_time: datetime
    state: State
    decided_by: str
    told_count: int

    def check_decision(self, subject: str) -> None:
        """Check that somebody may agree or refuse.

        Raises:
            ReidentificationStateError: It does not wait, or it is who asked.
        """
        if self.state is not State.WAITING:
            raise ReidentificationStateError(
                self.reidentification_id, f"the request is {self.state}"
            )
        if subject == self.requested_by:
            raise ReidentificationStateError(
                self.reidentification_id, "another person than who asked must agree"
            )

    def check_telling(self, subject: str) -> None:
        """Check that somebody may be told.

        Raises:
            ReidentificationNotFoundError: Another person asked.
            ReidentificationStateError: Nobody agreed, somebody refused, or it is too late.
        """
        if subject != self.requested_by:
            raise ReidentificationNotFoundError(self.reidentification_id)
        if self.state is not State.AGREED:
            raise ReidentificationStateError(
                self.reidentification_id, f"the request is {self.state}"
            )

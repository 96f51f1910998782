"""What became of series and objects, and what may go outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from services.runtime.blob_ref import BlobRef

NEVER_APPROVED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "IDENTIFIER_FOUND": "identifiers of the patient were found in the object",
        "OCR_UNAVAILABLE": "nothing has read what its pixels show",
    }
)
"""Findings that no approval lets through, by code, and why."""


class ObjectState(StrEnum):
    """What stands of an object, as ``heimdallr.deid.v1.ObjectState`` says."""

    RELEASED = "released"
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"


class Decision(StrEnum):
    """What a person decided."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Deidentification:
    """A series that was de-identified for a project.

    Attributes:
        pseudonym: Of the patient; empty until something was released.
        new_study_uid: Study Instance UID of what was released.
        key_version: Version of the project's key by which the patient is known; 0 until then.
        released_count: Objects released by the rules alone.
        held_count: Objects that wait for a decision.
        certificates: The latest first.
    """

    deidentification_id: str
    project_id: str
    study_id: str
    series_id: str
    modality: str
    pseudonym: str
    new_study_uid: str
    key_version: int
    released_count: int
    held_count: int
    approved_count: int
    rejected_count: int
    update_time: datetime
    certificates: tuple[BlobRef, ...] = ()


@dataclass(frozen=True, slots=True)
class DeidentifiedObject:
    """One object of such a series.

    Attributes:
        details: ``heimdallr.deid.v1.InstanceOutcome`` with findings and boxes, serialized.
    """

    instance_id: str
    instance_number: int
    state: ObjectState
    released: BlobRef | None
    codes: tuple[str, ...]
    details: bytes
    decision: str
    decided_by: str
    decision_reason: str
    decide_time: datetime | None

    @property
    def can_be_approved(self) -> bool:
        """Whether it is inside and a person has not approved it yet."""
        if self.state is ObjectState.REJECTED:
            return True
        return self.state is ObjectState.HELD and self.decision != Decision.APPROVE


class ReleaseState(StrEnum):
    """How far a study is from going outside, as ``heimdallr.deid.v1.ReleaseState`` says."""

    NOT_BEGUN = "not_begun"
    RUNNING = "running"
    HELD = "held"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class ReleaseCounts:
    """Instances of a study by what stands of them for a project.

    Attributes:
        unasked: Nobody asked for them.
        unmade: Asked for and not made yet.
        asked: Made, and asked for again.
        held: Wait for a decision.
    """

    unasked: int
    unmade: int
    asked: int
    held: int
    released: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ReleasedObject:
    """An object that may go outside."""

    series_id: str
    instance_id: str
    instance_number: int
    released: BlobRef
    sop_class_uid: str
    new_instance_uid: str
    new_series_uid: str
    new_study_uid: str


def release_state(counts: ReleaseCounts, *, working: bool, stopped: bool) -> ReleaseState:
    """Return how far a study is from going outside.

    Args:
        counts: Its instances.
        working: A stage waits or runs, or the study still arrives.
        stopped: A stage stopped and waits for a person.
    """
    if counts.unasked:
        return ReleaseState.NOT_BEGUN
    if working:
        return ReleaseState.RUNNING
    if stopped or counts.held:
        return ReleaseState.HELD
    if counts.unmade or counts.asked:
        return ReleaseState.RUNNING
    # A study without an instance has nothing that could go.
    done = counts.released + counts.rejected
    return ReleaseState.COMPLETE if done else ReleaseState.NOT_BEGUN

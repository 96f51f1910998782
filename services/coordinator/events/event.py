"""What an event says, without transport or database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    """What happened, as ``heimdallr.events.v1.EventType`` says."""

    STUDY_CREATED = "STUDY_CREATED"
    STUDY_GREW = "STUDY_GREW"
    STUDY_STATE_CHANGED = "STUDY_STATE_CHANGED"
    GENERATION_OPENED = "GENERATION_OPENED"
    STAGE_STATE_CHANGED = "STAGE_STATE_CHANGED"
    INSTANCE_CONFLICT = "INSTANCE_CONFLICT"
    STUDY_DELETED = "STUDY_DELETED"
    BLOB_DAMAGED = "BLOB_DAMAGED"
    PATIENT_MISMATCH = "PATIENT_MISMATCH"
    DEIDENTIFICATION_CHANGED = "DEIDENTIFICATION_CHANGED"


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before it is committed. Our own ids only, never patient data.

    Attributes:
        state: Value name of ``StudyState`` or ``StageState``, e.g. "STUDY_STATE_READY".
    """

    type: EventType
    study_id: str
    series_id: str | None = None
    stage_id: str | None = None
    stage_name: str = ""
    state: str = ""
    generation: int = 0
    correlation_id: str = ""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with its place in the log."""

    cursor: int
    occur_time: datetime
    draft: EventDraft

"""What is to be done at which modality and when, without transport or database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ScheduledState(StrEnum):
    """What has become of a scheduled procedure step."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Code:
    """An entry of a coding scheme (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Patient:
    """Who is to be examined; see ``ScheduledPatient`` in the contract."""

    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    patient_weight_kg: float
    medical_alerts: str
    allergies: str
    pregnancy_status: int


@dataclass(frozen=True, slots=True)
class Procedure:
    """What was ordered; see ``RequestedProcedure`` in the contract."""

    accession_number: str
    requested_procedure_id: str
    description: str
    study_instance_uid: str
    referring_physician_name: str
    requesting_physician: str
    priority: str
    code: Code | None


@dataclass(frozen=True, slots=True)
class ScheduledSpec:
    """What is scheduled; see ``ScheduledStepSpec`` in the contract.

    Attributes:
        start_date: YYYYMMDD.
        start_time: HHMMSS.
    """

    patient: Patient
    procedure: Procedure
    scheduled_station_ae_titles: tuple[str, ...]
    start_date: str
    start_time: str
    modality: str
    scheduled_procedure_step_id: str
    description: str
    station_name: str
    location: str
    performing_physician_name: str
    protocol_codes: tuple[Code, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return the values as they are kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ScheduledSpec:
        """Return what was kept."""
        procedure = dict(values["procedure"])
        code = procedure.pop("code")
        rest = {
            name: value
            for name, value in values.items()
            if name not in {"patient", "procedure", "protocol_codes", "scheduled_station_ae_titles"}
        }
        return cls(
            patient=Patient(**values["patient"]),
            procedure=Procedure(**procedure, code=Code(**code) if code else None),
            scheduled_station_ae_titles=tuple(values["scheduled_station_ae_titles"]),
            protocol_codes=tuple(Code(**one) for one in values["protocol_codes"]),
            **rest,
        )


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One entry of the worklist."""

    scheduled_step_id: str
    state: ScheduledState
    spec: ScheduledSpec
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class StepKey:
    """Place of a step in a list: by start, then by our id."""

    start: str
    scheduled_step_id: str

    @classmethod
    def of(cls, step: ScheduledStep) -> StepKey:
        """Return the place of a step."""
        return cls(step.spec.start_date + step.spec.start_time, step.scheduled_step_id)


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps are listed. Empty and None stand for any."""

    state: ScheduledState | None = None
    scheduled_station_ae_title: str = ""
    modality: str = ""
    start_date_from: str = ""
    start_date_to: str = ""
    patient_id: str = ""
    accession_number: str = ""

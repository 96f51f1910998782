"""What a modality says it did, without transport or database (PS3.4 section F.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.coordinator.worklist.errors import ProcedureStepStateError


class PerformedState(StrEnum):
    """Performed Procedure Step Status (0040,0252)."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"


@dataclass(frozen=True, slots=True)
class ScheduledReference:
    """An order that the step fulfils; see the contract."""

    study_instance_uid: str
    accession_number: str
    requested_procedure_id: str
    scheduled_procedure_step_id: str


@dataclass(frozen=True, slots=True)
class PerformedSeries:
    """A series that the step made.

    Attributes:
        instances: SOP Class UID and SOP Instance UID of each instance.
    """

    series_instance_uid: str
    series_description: str
    protocol_name: str
    retrieve_ae_title: str
    instances: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PerformedAttributes:
    """What is known of a step but its series; DICOM values as sent."""

    scheduled: tuple[ScheduledReference, ...]
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    modality: str
    performed_station_ae_title: str
    performed_procedure_step_id: str
    description: str
    start_date: str
    start_time: str
    end_date: str
    end_time: str
    discontinuation_reason: str

    @property
    def study_instance_uids(self) -> list[str]:
        """Studies whose orders it fulfils, each once."""
        return list(dict.fromkeys(one.study_instance_uid for one in self.scheduled))

    def to_json(self) -> dict[str, Any]:
        """Return the values as they are kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PerformedAttributes:
        """Return what was kept."""
        rest = {name: value for name, value in values.items() if name != "scheduled"}
        scheduled = tuple(ScheduledReference(**one) for one in values["scheduled"])
        return cls(scheduled=scheduled, **rest)


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """One performed procedure step."""

    sop_instance_uid: str
    state: PerformedState
    attributes: PerformedAttributes
    series: tuple[PerformedSeries, ...]


@dataclass(frozen=True, slots=True)
class PerformedRecord:
    """A step as it is kept.

    Attributes:
        performed_step_id: Our id.
    """

    performed_step_id: str
    step: PerformedStep
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class PerformedChange:
    """What an N-SET says. Empty and None mean unchanged."""

    state: PerformedState | None = None
    description: str = ""
    end_date: str = ""
    end_time: str = ""
    discontinuation_reason: str = ""
    series: tuple[PerformedSeries, ...] = ()


def changed(step: PerformedStep, change: PerformedChange) -> PerformedStep:
    """Return a step after an N-SET (PS3.4 F.7.2.2).

    Raises:
        ProcedureStepStateError: It is completed or discontinued: it changes no more.
    """
    if step.state is not PerformedState.IN_PROGRESS:
        raise ProcedureStepStateError(step.state.value)
    before = step.attributes
    attributes = replace(
        before,
        description=change.description or before.description,
        end_date=change.end_date or before.end_date,
        end_time=change.end_time or before.end_time,
        discontinuation_reason=change.discontinuation_reason or before.discontinuation_reason,
    )
    return replace(
        step,
        state=change.state or step.state,
        attributes=attributes,
        series=change.series or step.series,
    )


def series_to_json(series: Sequence[PerformedSeries]) -> list[dict[str, Any]]:
    """Return series as they are kept."""
    return [asdict(one) for one in series]


def series_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[PerformedSeries, ...]:
    """Return the series that were kept."""
    return tuple(
        PerformedSeries(
            **{name: value for name, value in one.items() if name != "instances"},
            instances=tuple((sop_class, uid) for sop_class, uid in one["instances"]),
        )
        for one in values
    )

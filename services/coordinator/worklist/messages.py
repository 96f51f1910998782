"""Scheduled steps as messages, with every rule of the contract checked on the way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from heimdallr.worklist.v1 import scheduled_step_pb2 as pb
from heimdallr.worklist.v1 import worklist_service_pb2 as service_pb
from services.coordinator.worklist import checks
from services.coordinator.worklist.checks import LONG, NAME, SHORT
from services.coordinator.worklist.scheduled_step import (
    Code,
    Patient,
    Procedure,
    ScheduledSpec,
    ScheduledState,
    ScheduledStep,
    StepFilter,
)
from services.runtime.errors import InvalidFieldError

STATES: Final[Mapping[ScheduledState, pb.ScheduledStepState.ValueType]] = {
    state: pb.ScheduledStepState.Value(f"SCHEDULED_STEP_STATE_{state.name}")
    for state in ScheduledState
}
_STATES_BY_VALUE: Final = {value: state for state, value in STATES.items()}
_PRIORITIES: Final = ("STAT", "HIGH", "ROUTINE", "MEDIUM", "LOW")
_MOST_STATIONS: Final = 16
_MOST_CODES: Final = 10
_HEAVIEST_KG: Final = 1000.0


def spec_from_proto(message: pb.ScheduledStepSpec) -> ScheduledSpec:
    """Return what is to be scheduled.

    Raises:
        InvalidFieldError: A field breaks its rule.
    """
    stations = message.scheduled_station_ae_titles
    if not 1 <= len(stations) <= _MOST_STATIONS:
        raise InvalidFieldError("scheduled_station_ae_titles", f"1 to {_MOST_STATIONS}")
    if len(message.protocol_codes) > _MOST_CODES:
        raise InvalidFieldError("protocol_codes", f"at most {_MOST_CODES}")
    return ScheduledSpec(
        patient=_patient(message.patient),
        procedure=_procedure(message.procedure),
        scheduled_station_ae_titles=tuple(
            dict.fromkeys(checks.ae_title("scheduled_station_ae_titles", one) for one in stations)
        ),
        start_date=checks.day("start_date", message.start_date, needed=True),
        start_time=checks.time_of_day("start_time", message.start_time),
        modality=checks.modality("modality", message.modality),
        scheduled_procedure_step_id=checks.text(
            "scheduled_procedure_step_id", message.scheduled_procedure_step_id, SHORT
        ),
        description=checks.text("description", message.description, LONG),
        station_name=checks.text("station_name", message.station_name, SHORT),
        location=checks.text("location", message.location, SHORT),
        performing_physician_name=checks.text(
            "performing_physician_name", message.performing_physician_name, NAME
        ),
        protocol_codes=tuple(_code("protocol_codes", one) for one in message.protocol_codes),
    )


def step_to_proto(step: ScheduledStep) -> pb.ScheduledStep:
    """Return a step as it goes on the wire."""
    message = pb.ScheduledStep(
        scheduled_step_id=step.scheduled_step_id,
        spec=_spec_to_proto(step.spec),
        state=STATES[step.state],
    )
    message.create_time.FromDatetime(step.create_time)
    message.update_time.FromDatetime(step.update_time)
    return message


def filter_from_proto(message: service_pb.ListScheduledStepsRequest) -> StepFilter:
    """Return which steps are listed.

    Raises:
        InvalidFieldError: A field breaks its rule.
    """
    state = None
    if message.state:
        state = _STATES_BY_VALUE.get(message.state)
        if state is None:
            raise InvalidFieldError("state", "a known state")
    return StepFilter(
        state=state,
        scheduled_station_ae_title=checks.text(
            "scheduled_station_ae_title", message.scheduled_station_ae_title, SHORT
        ),
        modality=checks.text("modality", message.modality, SHORT).upper(),
        start_date_from=checks.day("start_date_from", message.start_date_from),
        start_date_to=checks.day("start_date_to", message.start_date_to),
        patient_id=checks.text("patient_id", message.patient_id, LONG),
        accession_number=checks.text("accession_number", message.accession_number, SHORT),
    )


def _patient(message: pb.ScheduledPatient) -> Patient:
    if not 0 <= message.patient_weight_kg <= _HEAVIEST_KG:
        raise InvalidFieldError("patient.patient_weight_kg", "0 to 1000 kilograms")
    if not 0 <= message.pregnancy_status <= 4:
        raise InvalidFieldError("patient.pregnancy_status", "0 to 4")
    return Patient(
        patient_id=checks.text("patient.patient_id", message.patient_id, LONG, needed=True),
        issuer_of_patient_id=checks.text(
            "patient.issuer_of_patient_id", message.issuer_of_patient_id, LONG
        ),
        patient_name=checks.text("patient.patient_name", message.patient_name, NAME, needed=True),
        patient_birth_date=checks.day("patient.patient_birth_date", message.patient_birth_date),
        patient_sex=checks.one_of("patient.patient_sex", message.patient_sex, "M", "F", "O"),
        patient_weight_kg=message.patient_weight_kg,
        medical_alerts=checks.text("patient.medical_alerts", message.medical_alerts, LONG),
        allergies=checks.text("patient.allergies", message.allergies, LONG),
        pregnancy_status=message.pregnancy_status,
    )


def _procedure(message: pb.RequestedProcedure) -> Procedure:
    at = "procedure."
    return Procedure(
        accession_number=checks.text(at + "accession_number", message.accession_number, SHORT),
        requested_procedure_id=checks.text(
            at + "requested_procedure_id", message.requested_procedure_id, SHORT
        ),
        description=checks.text(at + "description", message.description, LONG),
        study_instance_uid=checks.uid(at + "study_instance_uid", message.study_instance_uid),
        referring_physician_name=checks.text(
            at + "referring_physician_name", message.referring_physician_name, NAME
        ),
        requesting_physician=checks.text(
            at + "requesting_physician", message.requesting_physician, NAME
        ),
        priority=checks.one_of(at + "priority", message.priority, *_PRIORITIES),
        code=_code(at + "code", message.code) if message.HasField("code") else None,
    )


def _code(field: str, message: pb.Code) -> Code:
    return Code(
        value=checks.text(field + ".value", message.value, SHORT, needed=True),
        scheme=checks.text(field + ".scheme", message.scheme, SHORT, needed=True),
        meaning=checks.text(field + ".meaning", message.meaning, LONG),
    )


def _spec_to_proto(spec: ScheduledSpec) -> pb.ScheduledStepSpec:
    values = spec.to_json()
    patient, procedure = values.pop("patient"), values.pop("procedure")
    return pb.ScheduledStepSpec(
        patient=pb.ScheduledPatient(**patient),
        procedure=pb.RequestedProcedure(**procedure),
        **values,
    )

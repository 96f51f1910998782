"""Performed steps as messages.

What modalities say is kept as they say it: only what cannot be kept is refused. Control characters
are dropped and texts cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from heimdallr.worklist.v1 import performed_step_pb2 as pb
from heimdallr.worklist.v1 import worklist_service_pb2 as service_pb
from services.coordinator.worklist import checks
from services.coordinator.worklist.checks import LONG, NAME, SHORT
from services.coordinator.worklist.performed_step import (
    PerformedAttributes,
    PerformedChange,
    PerformedRecord,
    PerformedSeries,
    PerformedState,
    PerformedStep,
    ScheduledReference,
)
from services.runtime.errors import InvalidFieldError

STATES: Final[Mapping[PerformedState, pb.PerformedStepState.ValueType]] = {
    state: pb.PerformedStepState.Value(f"PERFORMED_STEP_STATE_{state.name}")
    for state in PerformedState
}
_STATES_BY_VALUE: Final = {value: state for state, value in STATES.items()}
_MOST_SERIES: Final = 1000
_MOST_INSTANCES: Final = 20_000
_MOST_SCHEDULED: Final = 100
_TEXTS: Final = {
    "patient_id": LONG,
    "issuer_of_patient_id": LONG,
    "patient_name": NAME,
    "modality": SHORT,
    "performed_station_ae_title": SHORT,
    "performed_procedure_step_id": SHORT,
    "description": LONG,
    "start_date": SHORT,
    "start_time": SHORT,
    "end_date": SHORT,
    "end_time": SHORT,
    "discontinuation_reason": LONG,
}


def step_from_proto(message: pb.PerformedStep) -> PerformedStep:
    """Return a step that begins.

    Raises:
        InvalidFieldError: It is not in progress, or a field breaks its rule.
    """
    if message.state != pb.PERFORMED_STEP_STATE_IN_PROGRESS:
        raise InvalidFieldError("step.state", "in progress")
    if not 1 <= len(message.scheduled) <= _MOST_SCHEDULED:
        raise InvalidFieldError("step.scheduled", f"1 to {_MOST_SCHEDULED}")
    texts = {name: _kept(getattr(message, name), most) for name, most in _TEXTS.items()}
    return PerformedStep(
        sop_instance_uid=checks.uid("step.sop_instance_uid", message.sop_instance_uid, needed=True),
        state=PerformedState.IN_PROGRESS,
        attributes=PerformedAttributes(
            scheduled=tuple(_scheduled(one) for one in message.scheduled), **texts
        ),
        series=_series(message.series),
    )


def change_from_proto(message: service_pb.UpdatePerformedStepRequest) -> PerformedChange:
    """Return what a modality says now.

    Raises:
        InvalidFieldError: A field breaks its rule.
    """
    return PerformedChange(
        state=state_from_proto(message.state),
        description=_kept(message.description, LONG),
        end_date=_kept(message.end_date, SHORT),
        end_time=_kept(message.end_time, SHORT),
        discontinuation_reason=_kept(message.discontinuation_reason, LONG),
        series=_series(message.series),
    )


def state_from_proto(value: pb.PerformedStepState.ValueType) -> PerformedState | None:
    """Return a state; None for none.

    Raises:
        InvalidFieldError: The number is no state.
    """
    if value == pb.PERFORMED_STEP_STATE_UNSPECIFIED:
        return None
    state = _STATES_BY_VALUE.get(value)
    if state is None:
        raise InvalidFieldError("state", "a known state")
    return state


def record_to_proto(record: PerformedRecord) -> pb.PerformedStep:
    """Return a step as it goes on the wire."""
    values = record.step.attributes.to_json()
    message = pb.PerformedStep(
        sop_instance_uid=record.step.sop_instance_uid,
        state=STATES[record.step.state],
        series=[_series_to_proto(one) for one in record.step.series],
        **values,
    )
    message.create_time.FromDatetime(record.create_time)
    message.update_time.FromDatetime(record.update_time)
    return message


def _scheduled(message: pb.ScheduledReference) -> ScheduledReference:
    return ScheduledReference(
        study_instance_uid=checks.uid(
            "step.scheduled.study_instance_uid", message.study_instance_uid, needed=True
        ),
        accession_number=_kept(message.accession_number, SHORT),
        requested_procedure_id=_kept(message.requested_procedure_id, SHORT),
        scheduled_procedure_step_id=_kept(message.scheduled_procedure_step_id, SHORT),
    )


def _series(messages: Iterable[pb.PerformedSeries]) -> tuple[PerformedSeries, ...]:
    found = tuple(_one_series(message) for message in messages)
    if len(found) > _MOST_SERIES:
        raise InvalidFieldError("series", f"at most {_MOST_SERIES}")
    if sum(len(one.instances) for one in found) > _MOST_INSTANCES:
        raise InvalidFieldError("series.instances", f"at most {_MOST_INSTANCES} in all")
    return found


def _one_series(message: pb.PerformedSeries) -> PerformedSeries:
    uid = checks.uid("series.series_instance_uid", message.series_instance_uid, needed=True)
    instances = tuple(
        (
            checks.uid("series.instances.sop_class_uid", one.sop_class_uid),
            checks.uid("series.instances.sop_instance_uid", one.sop_instance_uid, needed=True),
        )
        for one in message.instances
    )
    return PerformedSeries(
        series_instance_uid=uid,
        series_description=_kept(message.series_description, LONG),
        protocol_name=_kept(message.protocol_name, LONG),
        retrieve_ae_title=_kept(message.retrieve_ae_title, SHORT),
        instances=instances,
    )


def _series_to_proto(series: PerformedSeries) -> pb.PerformedSeries:
    return pb.PerformedSeries(
        series_instance_uid=series.series_instance_uid,
        series_description=series.series_description,
        protocol_name=series.protocol_name,
        retrieve_ae_title=series.retrieve_ae_title,
        instances=[
            pb.ReferencedInstance(sop_class_uid=sop_class, sop_instance_uid=uid)
            for sop_class, uid in series.instances
        ],
    )


def _kept(value: str, most: int) -> str:
    return "".join(one for one in value if one.isprintable()).strip()[:most]

"""What became of series and objects as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from heimdallr.deid.v1 import review_service_pb2 as pb
from services.coordinator.deidentification.objects import (
    Decision,
    Deidentification,
    DeidentifiedObject,
    ObjectState,
    ReleasedObject,
    ReleaseState,
)
from services.coordinator.deidentification.release import Release
from services.coordinator.deidentification.review_store import SeriesFilter
from services.runtime.blob_messages import blob_to_proto
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

MAX_ANSWER_BYTES: Final = 3 << 20
_STATES: Final[Mapping[ObjectState, pb.ObjectState.ValueType]] = {
    state: pb.ObjectState.Value(f"OBJECT_STATE_{state.name}") for state in ObjectState
}
_STATES_BACK: Final = {number: state for state, number in _STATES.items()}
_DECISIONS: Final = {
    pb.DECISION_APPROVE: Decision.APPROVE,
    pb.DECISION_REJECT: Decision.REJECT,
}
_RELEASE_STATES: Final = {
    state: pb.ReleaseState.Value(f"RELEASE_STATE_{state.name}") for state in ReleaseState
}


def our_id(field: str, text: str) -> str:
    """Return one of our ids.

    Raises:
        InvalidFieldError: It has not the form of one.
    """
    if not is_id(text):
        raise InvalidFieldError(field, "one of our ids")
    return text


def filter_from_proto(request: pb.ListDeidentificationsRequest) -> SeriesFilter:
    """Return which series are wanted.

    Raises:
        InvalidFieldError: A field is not what it should be.
    """
    return SeriesFilter(
        our_id("project_id", request.project_id) if request.project_id else None,
        our_id("study_id", request.study_id) if request.study_id else None,
        state_from_proto(request.state),
    )


def state_from_proto(number: pb.ObjectState.ValueType) -> ObjectState | None:
    """Return the state of a filter; None for any.

    Raises:
        InvalidFieldError: The number is no state.
    """
    if number == pb.OBJECT_STATE_UNSPECIFIED:
        return None
    if number not in _STATES_BACK:
        raise InvalidFieldError("state", "a known state")
    return _STATES_BACK[number]


def decision_from_proto(number: pb.Decision.ValueType) -> Decision:
    """Return what a person decides.

    Raises:
        InvalidFieldError: Unspecified or unknown.
    """
    if number not in _DECISIONS:
        raise InvalidFieldError("decision", "approve or reject")
    return _DECISIONS[number]


def series_to_proto(series: Deidentification) -> pb.Deidentification:
    """Return a series as it goes on the wire."""
    message = pb.Deidentification(
        deidentification_id=series.deidentification_id,
        project_id=series.project_id,
        study_id=series.study_id,
        series_id=series.series_id,
        modality=series.modality,
        pseudonym=series.pseudonym,
        study_instance_uid=series.new_study_uid,
        released_count=series.released_count + series.approved_count,
        held_count=series.held_count,
        rejected_count=series.rejected_count,
        certificates=map(blob_to_proto, series.certificates),
    )
    message.update_time.FromDatetime(series.update_time)
    return message


def object_to_proto(found: DeidentifiedObject) -> pb.DeidentifiedObject:
    """Return an object as it goes on the wire."""
    details = deid_pb.InstanceOutcome.FromString(found.details)
    message = pb.DeidentifiedObject(
        instance_id=found.instance_id,
        state=_STATES[found.state],
        instance_number=found.instance_number,
        findings=details.findings,
        boxes=details.boxes,
        decided_by=found.decided_by,
        decision_reason=found.decision_reason,
    )
    if found.released is not None:
        message.released.CopyFrom(blob_to_proto(found.released))
    if found.decide_time is not None:
        message.decide_time.FromDatetime(found.decide_time)
    return message


def that_fit(objects: Sequence[DeidentifiedObject]) -> list[pb.DeidentifiedObject]:
    """Return the first objects as messages, as many as one answer holds and at least one."""
    fitting: list[pb.DeidentifiedObject] = []
    size = 0
    for found in objects:
        message = object_to_proto(found)
        size += message.ByteSize()
        if fitting and size > MAX_ANSWER_BYTES:
            break
        fitting.append(message)
    return fitting


def release_to_proto(
    release: Release, objects: Sequence[ReleasedObject] = ()
) -> pb.ListReleasedResponse:
    """Return how far a study is from going outside, with objects of it."""
    return pb.ListReleasedResponse(
        state=_RELEASE_STATES[release.state],
        released_count=release.counts.released,
        held_count=release.counts.held,
        rejected_count=release.counts.rejected,
        objects=map(_released_to_proto, objects),
    )


def _released_to_proto(found: ReleasedObject) -> pb.ReleasedObject:
    return pb.ReleasedObject(
        instance_id=found.instance_id,
        series_id=found.series_id,
        released=blob_to_proto(found.released),
        sop_class_uid=found.sop_class_uid,
        sop_instance_uid=found.new_instance_uid,
        series_instance_uid=found.new_series_uid,
        study_instance_uid=found.new_study_uid,
    )

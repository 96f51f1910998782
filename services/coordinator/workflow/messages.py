"""Stages, plans and waits as messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import asyncpg
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.conversion.v1 import conversion_service_pb2 as conversion_pb
from heimdallr.imaging.v1 import blob_ref_pb2
from heimdallr.imaging.v1.measurement_pb2 import Refusal
from heimdallr.imaging.v1.progress_pb2 import Progress
from heimdallr.workflow.v1 import completeness_service_pb2 as completeness_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.coordinator.archive.study import Evidence, StudyState
from services.coordinator.workflow.arrivals import ArrivingStudy
from services.coordinator.workflow.plan import ModelChoice
from services.coordinator.workflow.stages import Priority, Stage, StageState
from services.coordinator.workflow.waits import Wait
from services.runtime.blob_messages import blob_from_proto
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import InvalidFieldError

STAGE_STATES: Final[Mapping[StageState, pb.StageState.ValueType]] = {
    state: pb.StageState.Value(f"STAGE_STATE_{state.name}") for state in StageState
}
STUDY_STATES: Final[Mapping[StudyState, archive_pb.StudyState.ValueType]] = {
    state: archive_pb.StudyState.Value(f"STUDY_STATE_{state.name}") for state in StudyState
}
EVIDENCES: Final[Mapping[Evidence, archive_pb.Evidence.ValueType]] = {
    evidence: archive_pb.Evidence.Value(f"EVIDENCE_{evidence.name}") for evidence in Evidence
}
_STATES_BY_VALUE: Final = {value: state for state, value in STAGE_STATES.items()}
_WITH_REASON: Final = frozenset({StageState.HELD, StageState.REFUSED})


def stage_to_proto(
    stage: Stage, attempts: Sequence[asyncpg.Record], depends_on: Sequence[str]
) -> pb.Stage:
    """Return a stage with its attempts."""
    message = pb.Stage(
        stage_id=stage.stage_id,
        study_id=stage.study_id,
        series_id=stage.series_id or "",
        generation=stage.generation,
        name=stage.name,
        state=STAGE_STATES[stage.state],
        attempts=[attempt_to_proto(row) for row in attempts],
        correlation_id=stage.correlation_id,
        depends_on_stage_ids=depends_on,
        create_time=timestamp(stage.create_time),
        update_time=timestamp(stage.update_time),
    )
    if stage.state in _WITH_REASON:
        message.reason.CopyFrom(Refusal(code=stage.reason_code, text=stage.reason_text))
    if stage.state is StageState.DONE:
        message.summary = stage.reason_text
    if stage.progress_fraction is not None and stage.state is StageState.RUNNING:
        message.progress.CopyFrom(
            Progress(fraction=stage.progress_fraction, activity=stage.progress_activity)
        )
    if stage.next_attempt_time is not None and stage.state is StageState.PENDING:
        message.next_attempt_time.CopyFrom(timestamp(stage.next_attempt_time))
    return message


def attempt_to_proto(row: asyncpg.Record) -> pb.Attempt:
    """Return a row of ``workflow.attempt``."""
    message = pb.Attempt(
        attempt_id=row["attempt_id"],
        number=row["number"],
        worker=row["worker"],
        start_time=timestamp(row["start_time"]),
        outcome=row["outcome"],
        error_reason=row["error_reason"],
        service_version=row["service_version"],
    )
    if row["end_time"] is not None:
        message.end_time.CopyFrom(timestamp(row["end_time"]))
    return message


def plan_to_proto(
    generation: int,
    scores: Sequence[conversion_pb.SeriesScore],
    choices: Sequence[ModelChoice],
) -> pb.Plan:
    """Return a plan that explains itself."""
    return pb.Plan(
        generation=generation,
        series=scores,
        models=[
            pb.ModelChoice(model=choice.model, chosen=choice.chosen, text=choice.text)
            for choice in choices
        ],
    )


def wait_to_proto(wait: Wait) -> pb.Wait:
    """Return what a study waits for."""
    return pb.Wait(
        code=wait.code,
        text=wait.text,
        remaining_s=wait.remaining_s,
        total_s=wait.total_s,
        count=wait.count,
        wanted_count=wait.wanted_count,
    )


def announcement_to_proto(study: ArrivingStudy) -> completeness_pb.Announcement | None:
    """Return what was said of a study; None when nothing was."""
    if study.said_time is None:
        return None
    return completeness_pb.Announcement(
        announced_count=study.arrival.announced_count,
        present_count=study.arrival.present_count,
        open_step_count=study.arrival.open_step_count,
        source_count=study.arrival.source_count,
        update_time=timestamp(study.said_time),
    )


def state_from_proto(value: pb.StageState.ValueType) -> StageState | None:
    """Return the state of a filter; None for any.

    Raises:
        InvalidFieldError: The number is no state.
    """
    if value == pb.STAGE_STATE_UNSPECIFIED:
        return None
    state = _STATES_BY_VALUE.get(value)
    if state is None:
        raise InvalidFieldError("state", "a known state")
    return state


def priority_from_proto(value: pb.Priority.ValueType) -> Priority:
    """Return a priority.

    Raises:
        InvalidFieldError: Unspecified or unknown.
    """
    try:
        return Priority(value)
    except ValueError:
        raise InvalidFieldError("priority", "low, routine, high or stat") from None


def timestamp(time: datetime) -> Timestamp:
    """Return a time as it goes on the wire."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def blobs_in(message: Message) -> list[BlobRef]:
    """Return every blob a message names, at any depth, each once."""
    return list(dict.fromkeys(blob_from_proto(found) for found in _walk(message)))


def _walk(message: Message) -> Iterator[blob_ref_pb2.BlobRef]:
    if isinstance(message, blob_ref_pb2.BlobRef):
        yield message
        return
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            continue
        for one in value if field.is_repeated else (value,):
            yield from _walk(one)

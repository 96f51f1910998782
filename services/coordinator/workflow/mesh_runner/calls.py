"""Calls to services: deadlines, streams that end with an outcome, typed failures."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

import grpc
from google.protobuf.message import Message

from heimdallr.analysis.v1 import analysis_service_pb2 as analysis_pb
from heimdallr.conversion.v1 import conversion_service_pb2 as conversion_pb
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from heimdallr.imaging.v1.measurement_pb2 import Refusal
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow.keys import output_key
from services.coordinator.workflow.messages import blobs_in
from services.coordinator.workflow.retry import Failure
from services.coordinator.workflow.runner import ProgressSink, StageFailedError, StageResult
from services.coordinator.workflow.stages import Stage, StageKind
from services.runtime.blob_messages import blob_to_proto
from services.runtime.client import MAX_MESSAGE_BYTES, ServiceCallError, typed_errors

DEADLINES_S: Final[Mapping[StageKind, float]] = {
    StageKind.PLAN: 60.0,
    StageKind.DESCRIBE: 600.0,
    StageKind.CONVERT: 1200.0,
    StageKind.ANALYZE: 3600.0,
    StageKind.REPORT: 300.0,
    StageKind.DEIDENTIFY: 3600.0,
}
TOO_LARGE: Final = ("SERIES_TOO_LARGE", "The series has more images than one step can take.")

# No service needs to know whose images they are.
_IDENTIFYING: Final = (
    "patient_id",
    "issuer_of_patient_id",
    "patient_name",
    "patient_birth_date",
    "patient_sex",
    "referring_physician_name",
    "accession_number",
)


_Event = TypeVar("_Event", conversion_pb.ConvertSeriesResponse, analysis_pb.AnalyzeVolumeResponse)


@contextmanager
def stage_failures() -> Iterator[None]:
    """Raise `StageFailedError` in place of failed calls."""
    try:
        with typed_errors():
            yield
    except ServiceCallError as error:
        raise StageFailedError(Failure(error.code.name, error.reason)) from None


async def outcome_of(events: AsyncIterable[_Event], progress: ProgressSink) -> _Event:
    """Pass progress on and return the last message, which carries the outcome.

    Raises:
        StageFailedError: The call failed, or ended without an outcome.
    """
    last: _Event | None = None
    with stage_failures():
        async for event in events:
            if event.HasField("progress"):
                progress(event.progress.fraction, event.progress.activity)
            else:
                last = event
    if last is None:
        raise StageFailedError(Failure(grpc.StatusCode.INTERNAL.name))
    return last


def check_size(request: Message) -> StageResult | None:
    """Return a refusal when a request is larger than one message may be."""
    # Room for the framing of the call.
    if request.ByteSize() <= MAX_MESSAGE_BYTES - 1024:
        return None
    return StageResult(refusal=TOO_LARGE, output_key=TOO_LARGE[0])


def done(result: Message, service_version: str, key: str = "") -> StageResult:
    """Return a result; its key is the hash of its bytes unless a better one is given."""
    content = result.SerializeToString(deterministic=True)
    return StageResult(
        result=content,
        result_type=result.DESCRIPTOR.full_name,
        output_key=key or output_key(content),
        blobs=tuple(blobs_in(result)),
        service_version=service_version,
    )


def refused(refusal: Refusal) -> StageResult:
    """Return a refusal as a result."""
    return StageResult(refusal=(refusal.code, refusal.text), output_key=refusal.code)


def series_of(stage: Stage) -> str:
    """Return the series of a stage that has one.

    Raises:
        ValueError: It is a stage of the whole study.
    """
    if stage.series_id is None:
        raise ValueError(f"{stage.name} has no series")
    return stage.series_id


async def series_instances(
    archive: ArchiveStore, series_id: str
) -> list[conversion_pb.SeriesInstance]:
    """Return the instances of a series without what identifies the patient."""
    found = await archive.series_instances(series_id)
    return [
        conversion_pb.SeriesInstance(blob=blob_to_proto(blob), attributes=anonymous(attributes))
        for blob, attributes, _generation in found
    ]


def anonymous(attributes: bytes) -> InstanceAttributes:
    """Return index attributes without what identifies the patient."""
    message = InstanceAttributes.FromString(attributes)
    for name in _IDENTIFYING:
        message.ClearField(name)
    return message

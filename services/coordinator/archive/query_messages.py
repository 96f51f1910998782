"""Queries from messages; what they find as messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.found import Found
from services.coordinator.archive.keys import Level
from services.coordinator.archive.locator import Located, Wanted
from services.coordinator.archive.matching import (
    MAX_TEXT,
    MAX_VALUES,
    AnyOf,
    Condition,
    Match,
    Range,
    Wildcard,
)
from services.coordinator.archive.messages import (
    instance_to_proto,
    series_to_proto,
    study_to_proto,
)
from services.coordinator.archive.patient_messages import patient_to_proto
from services.coordinator.archive.query import Query
from services.coordinator.archive.study import SeriesRecord, StudyRecord
from services.runtime.blob_messages import blob_to_proto
from services.runtime.errors import InvalidFieldError

_MAX_MATCHES: Final = 64
_MAX_UIDS: Final = 1000
_MAX_SOP_UIDS: Final = 10_000
_LEVELS: Final = {
    pb.QUERY_LEVEL_PATIENT: Level.PATIENT,
    pb.QUERY_LEVEL_STUDY: Level.STUDY,
    pb.QUERY_LEVEL_SERIES: Level.SERIES,
    pb.QUERY_LEVEL_INSTANCE: Level.INSTANCE,
}


def query_from_proto(message: pb.QueryRequest) -> Query:
    """Return what is looked for.

    Raises:
        InvalidFieldError: A field breaks a rule of the contract.
    """
    if message.level not in _LEVELS:
        raise InvalidFieldError("level", "one of QueryLevel")
    if len(message.matches) > _MAX_MATCHES:
        raise InvalidFieldError("matches", f"at most {_MAX_MATCHES}")
    for field in ("limit", "offset"):
        if getattr(message, field) < 0:
            raise InvalidFieldError(field, "not negative")
    return Query(
        level=_LEVELS[message.level],
        matches=[Match(one.keyword, _condition(one)) for one in message.matches],
        fuzzy_names=message.fuzzy_names,
        limit=message.limit,
        offset=message.offset,
    )


def wanted_from_proto(message: pb.LocateInstancesRequest) -> Wanted:
    """Return which instances are wanted.

    Raises:
        InvalidFieldError: A field breaks a rule of the contract.
    """
    wanted = Wanted(
        _uids(message.study_instance_uids, "study_instance_uids", _MAX_UIDS),
        _uids(message.series_instance_uids, "series_instance_uids", _MAX_UIDS),
        _uids(message.sop_instance_uids, "sop_instance_uids", _MAX_SOP_UIDS),
        _text(message.patient_id, "patient_id"),
    )
    if not wanted.matches:
        raise InvalidFieldError("study_instance_uids", "at least one list is not empty")
    return wanted


def rows_to_proto(found: Iterable[Found]) -> pb.QueryResponse:
    """Return a batch of what was found."""
    response = pb.QueryResponse()
    studies: dict[str, pb.Study] = {}
    for one in found:
        row = response.rows.add()
        if one.patient is not None:
            row.patient.CopyFrom(patient_to_proto(one.patient))
        if one.study is not None:
            row.study.CopyFrom(_study(one.study, studies))
        if one.series is not None:
            row.series.CopyFrom(_series(one.series, one.series_attributes))
        if one.instance is not None:
            row.instance.CopyFrom(instance_to_proto(one.instance))
    return response


def located_to_proto(located: Sequence[Located]) -> pb.LocateInstancesResponse:
    """Return a batch of located instances."""
    return pb.LocateInstancesResponse(
        instances=[
            pb.LocatedInstance(
                study_instance_uid=one.study_instance_uid,
                series_instance_uid=one.series_instance_uid,
                sop_instance_uid=one.sop_instance_uid,
                sop_class_uid=one.sop_class_uid,
                transfer_syntax_uid=one.transfer_syntax_uid,
                number_of_frames=one.number_of_frames,
                blob=blob_to_proto(one.blob),
                instance_id=one.instance_id,
                study_id=one.study_id,
                series_id=one.series_id,
            )
            for one in located
        ]
    )


def _study(study: StudyRecord, known: dict[str, pb.Study]) -> pb.Study:
    if study.study_id not in known:
        known[study.study_id] = study_to_proto(study)
    return known[study.study_id]


def _series(series: SeriesRecord, attributes: bytes) -> pb.Series:
    message = series_to_proto(series)
    if attributes:
        message.attributes.CopyFrom(InstanceAttributes.FromString(attributes))
    return message


def _condition(message: pb.AttributeMatch) -> Condition:
    kind = message.WhichOneof("condition")
    if kind == "values":
        values = message.values.values
        if not 1 <= len(values) <= MAX_VALUES:
            raise InvalidFieldError("matches.values", f"1 to {MAX_VALUES} values")
        return AnyOf(tuple(_some(value, "matches.values") for value in values))
    if kind == "wildcard":
        return Wildcard(_some(message.wildcard, "matches.wildcard"))
    if kind == "range":
        first, last = message.range.__getattribute__("from"), message.range.to
        return Range(_text(first, "matches.range"), _text(last, "matches.range"))
    raise InvalidFieldError("matches.condition", "values, wildcard or range must be set")


def _some(text: str, field: str) -> str:
    if not text.strip():
        raise InvalidFieldError(field, "not empty: what matches everything is left out")
    return _text(text, field)


def _text(text: str, field: str) -> str:
    if len(text) > MAX_TEXT:
        raise InvalidFieldError(field, f"at most {MAX_TEXT} characters")
    if "\0" in text:
        raise InvalidFieldError(field, "no NUL")
    return text


def _uids(values: Sequence[str], field: str, most: int) -> tuple[str, ...]:
    if len(values) > most:
        raise InvalidFieldError(field, f"at most {most}")
    return tuple(_some(value, field) for value in values)

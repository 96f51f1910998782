"""Studies, series and instances as messages; filters from messages."""

from __future__ import annotations

import re
from typing import Final

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.search import StudyFilter
from services.coordinator.archive.study import (
    Evidence,
    InstanceRecord,
    SeriesRecord,
    StudyOrder,
    StudyRecord,
    StudyState,
)
from services.runtime.blob_messages import blob_to_proto
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

MAX_SEARCH_TEXT: Final = 128
_MAX_VALUE: Final = 1024
_DAY: Final = re.compile(r"[0-9]{8}", re.ASCII)
_STATES: Final = {
    pb.STUDY_STATE_UNSPECIFIED: None,
    pb.STUDY_STATE_RECEIVING: StudyState.RECEIVING,
    pb.STUDY_STATE_COMPLETE: StudyState.COMPLETE,
    pb.STUDY_STATE_PROCESSING: StudyState.PROCESSING,
    pb.STUDY_STATE_READY: StudyState.READY,
    pb.STUDY_STATE_HELD: StudyState.HELD,
}
_ORDERS: Final = {
    pb.STUDY_ORDER_UNSPECIFIED: StudyOrder.RECEIVED_DESCENDING,
    pb.STUDY_ORDER_RECEIVED_DESCENDING: StudyOrder.RECEIVED_DESCENDING,
    pb.STUDY_ORDER_RECEIVED_ASCENDING: StudyOrder.RECEIVED_ASCENDING,
    pb.STUDY_ORDER_STUDY_DATE_DESCENDING: StudyOrder.STUDY_DATE_DESCENDING,
}
_STATE_NUMBERS: Final = {state: number for number, state in _STATES.items()}
_EVIDENCE_NUMBERS: Final = {
    None: pb.EVIDENCE_UNSPECIFIED,
    Evidence.MANIFEST: pb.EVIDENCE_MANIFEST,
    Evidence.COUNT: pb.EVIDENCE_COUNT,
    Evidence.RELEASED: pb.EVIDENCE_RELEASED,
    Evidence.QUIET: pb.EVIDENCE_QUIET,
    Evidence.PERSON: pb.EVIDENCE_PERSON,
}


def filter_from_proto(message: pb.ListStudiesRequest) -> StudyFilter:
    """Return which studies are wanted.

    Raises:
        InvalidFieldError: A field breaks a rule of the contract.
    """
    if message.state not in _STATES:
        raise InvalidFieldError("state", "one of StudyState")
    if message.order not in _ORDERS:
        raise InvalidFieldError("order", "one of StudyOrder")
    return StudyFilter(
        state=_STATES[message.state],
        study_instance_uid=_value(message, "study_instance_uid"),
        patient_key=_key(message.patient_key),
        patient_id_text=_value(message, "patient_id"),
        accession_number=_value(message, "accession_number"),
        modality=_value(message, "modality"),
        text=_value(message, "text", MAX_SEARCH_TEXT),
        day_from=_day(message, "study_date_from"),
        day_to=_day(message, "study_date_to"),
        order=_ORDERS[message.order],
    )


def study_to_proto(study: StudyRecord) -> pb.Study:
    """Return a study as it goes on the wire."""
    message = pb.Study(
        study_id=study.study_id,
        study_instance_uid=study.study_instance_uid,
        patient_id=study.patient_id_text,
        issuer_of_patient_id=study.issuer_of_patient_id,
        patient_name=study.patient_name,
        patient_birth_date=study.patient_birth_date,
        patient_sex=study.patient_sex,
        study_date=study.study_date,
        study_time=study.study_time,
        accession_number=study.accession_number,
        study_description=study.study_description,
        modalities=study.modalities,
        series_count=study.series_count,
        instance_count=study.instance_count,
        state=_STATE_NUMBERS[study.state],
        evidence=_EVIDENCE_NUMBERS[study.evidence],
        generation=study.generation,
        conflict_count=study.conflict_count,
        patient_key=study.patient_id,
        patient_mismatch_count=study.patient_mismatch_count,
        study_id_text=study.study_id_text,
        referring_physician_name=study.referring_physician_name,
    )
    message.first_receive_time.FromDatetime(study.first_receive_time)
    message.last_receive_time.FromDatetime(study.last_receive_time)
    return message


def series_to_proto(series: SeriesRecord) -> pb.Series:
    """Return a series as it goes on the wire."""
    return pb.Series(
        series_id=series.series_id,
        series_instance_uid=series.series_instance_uid,
        modality=series.modality,
        series_description=series.series_description,
        series_number=series.series_number,
        body_part_examined=series.body_part_examined,
        instance_count=series.instance_count,
    )


def instance_to_proto(instance: InstanceRecord) -> pb.Instance:
    """Return an instance as it goes on the wire."""
    message = pb.Instance(
        instance_id=instance.instance_id,
        attributes=InstanceAttributes.FromString(instance.attributes),
        blob=blob_to_proto(instance.blob),
        generation=instance.generation,
    )
    message.receive_time.FromDatetime(instance.receive_time)
    return message


def page_size(asked: int, *, default: int, most: int) -> int:
    """Return the size of a page.

    Raises:
        InvalidFieldError: Out of bounds.
    """
    if not 0 <= asked <= most:
        raise InvalidFieldError("page_size", f"1 to {most}, or zero for {default}")
    return asked or default


def _value(message: pb.ListStudiesRequest, field: str, most: int = _MAX_VALUE) -> str:
    value = str(getattr(message, field))
    if len(value) > most:
        raise InvalidFieldError(field, f"at most {most} characters")
    if "\0" in value:
        raise InvalidFieldError(field, "no NUL")
    return value


def _key(value: str) -> str:
    if value and not is_id(value):
        raise InvalidFieldError("patient_key", "one of our ids")
    return value


def _day(message: pb.ListStudiesRequest, field: str) -> str:
    value = str(getattr(message, field))
    if value and not _DAY.fullmatch(value):
        raise InvalidFieldError(field, "YYYYMMDD")
    return value

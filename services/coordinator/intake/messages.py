"""Envelopes and answers as messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.imaging.v1 import blob_ref_pb2 as pb_imaging
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.coordinator.archive.arrival import (
    Arrival,
    Disposition,
    Indexed,
    SeriesAttributes,
    StudyAttributes,
)
from services.coordinator.intake.envelope import Departure, Door, Envelope, Source
from services.coordinator.intake.rejection import RejectedError
from services.dicom.uids import valid_uid
from services.runtime.blob_messages import blob_from_proto
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

MAX_TEXT: Final = 1024
_MAX_SOURCE_TEXT: Final = 64
_MEDIA_TYPE: Final = "application/dicom"
_UIDS: Final = (
    "sop_class_uid",
    "sop_instance_uid",
    "study_instance_uid",
    "series_instance_uid",
    "transfer_syntax_uid",
)
_LENGTHS: Final = {"image_position_mm": 3, "image_orientation": 6, "pixel_spacing_mm": 2}
_TEXT_FIELDS: Final = tuple(
    field.name
    for field in InstanceAttributes.DESCRIPTOR.fields
    if field.type == FieldDescriptor.TYPE_STRING
)
_DOORS: Final = {
    pb.DOOR_DIMSE: Door.DIMSE,
    pb.DOOR_DICOMWEB: Door.DICOMWEB,
    pb.DOOR_UPLOAD: Door.UPLOAD,
    pb.DOOR_SOURCE: Door.SOURCE,
}
_DISPOSITIONS: Final = {
    Disposition.STORED: pb.DISPOSITION_STORED,
    Disposition.DUPLICATE: pb.DISPOSITION_DUPLICATE,
    Disposition.CONFLICT: pb.DISPOSITION_CONFLICT,
}


def envelope_from_proto(message: pb.Instance, correlation_id: str) -> Envelope:
    """Return an envelope; its attributes are cleaned in place.

    Raises:
        RejectedError: A field breaks a rule of the contract.
    """
    attributes = message.attributes
    clean_attributes(attributes)
    _check_attributes(attributes)
    blob = _blob(message)
    source = source_from_proto(message.source, "source")
    arrival = Arrival(
        study=_study(attributes),
        series=_series(attributes),
        sop_instance_uid=attributes.sop_instance_uid,
        sop_class_uid=attributes.sop_class_uid,
        instance_number=_optional(attributes, "instance_number"),
        attributes=attributes.SerializeToString(),
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        association_id=source.association_id,
        receive_time=_receive_time(message),
        correlation_id=correlation_id,
        transfer_syntax_uid=attributes.transfer_syntax_uid,
        number_of_frames=attributes.number_of_frames,
    )
    content = message.WhichOneof("content")
    return Envelope(
        arrival=arrival,
        blob=blob,
        chunked=content == "chunked",
        source=source,
        written=content == "written",
    )


def departure_from_proto(
    message: pb.AssociationClosed, subject: str, correlation_id: str
) -> Departure:
    """Return the end of an association.

    Raises:
        RejectedError: A field breaks a rule of the contract.
    """
    if not is_id(message.association_id):
        raise RejectedError("association_closed.association_id", "one of our ids")
    if message.instance_count < 0:
        raise RejectedError("association_closed.instance_count", "not negative")
    told = pb.Source()
    told.CopyFrom(message.source)
    told.association_id = message.association_id
    source = source_from_proto(told, "association_closed.source")
    return Departure(source, message.released, message.instance_count, subject, correlation_id)


def source_from_proto(message: pb.Source, field: str) -> Source:
    """Return where an instance came from.

    Raises:
        RejectedError: The door or the association is not named.
    """
    door = _DOORS.get(message.door)
    if door is None:
        raise RejectedError(f"{field}.door", "unspecified or unknown")
    if not is_id(message.association_id):
        raise RejectedError(f"{field}.association_id", "one of our ids")
    return Source(
        door=door,
        association_id=message.association_id,
        calling_ae_title=_cut(message.calling_ae_title, _MAX_SOURCE_TEXT),
        called_ae_title=_cut(message.called_ae_title, _MAX_SOURCE_TEXT),
        peer_address=_cut(message.peer_address, _MAX_SOURCE_TEXT),
    )


def accepted(sequence: int, indexed: Indexed) -> pb.IngestResponse:
    """Return the answer to an instance that is durable."""
    held = indexed.held
    return pb.IngestResponse(
        sequence=sequence,
        accepted=pb.Accepted(
            disposition=_DISPOSITIONS[indexed.disposition],
            study_id=held.study_id,
            series_id=held.series_id,
            instance_id=held.instance_id,
            generation=held.generation,
        ),
    )


def rejected(sequence: int, error: RejectedError) -> pb.IngestResponse:
    """Return the answer to an instance that is not taken."""
    reason = ErrorReason.Value(error.reason.value)
    outcome = pb.Rejected(reason=reason, field=error.field, rule=error.rule)
    return pb.IngestResponse(sequence=sequence, rejected=outcome)


def clean_attributes(attributes: InstanceAttributes) -> None:
    """Remove NULs, cut text at 1,024 characters and forget fields that are not ours."""
    attributes.DiscardUnknownFields()
    for name in _TEXT_FIELDS:
        text = getattr(attributes, name)
        if len(text) > MAX_TEXT or "\0" in text:
            setattr(attributes, name, _cut(text, MAX_TEXT))


def _check_attributes(attributes: InstanceAttributes) -> None:
    for name in _UIDS:
        if not valid_uid(getattr(attributes, name)):
            raise RejectedError(f"attributes.{name}", "a UID (PS3.5 section 9.1)")
    for name, length in _LENGTHS.items():
        if len(getattr(attributes, name)) not in (0, length):
            raise RejectedError(f"attributes.{name}", f"empty or {length} numbers")


def _blob(message: pb.Instance) -> BlobRef:
    kind = message.WhichOneof("content")
    if kind is None:
        raise RejectedError("content", "staged, written or chunked must be set")
    ref: pb_imaging.BlobRef = getattr(message, kind)
    try:
        blob = blob_from_proto(ref, kind)
    except InvalidFieldError as error:
        raise RejectedError(error.metadata["field"], error.metadata["rule"]) from None
    if blob.size_bytes == 0:
        raise RejectedError(f"{kind}.size_bytes", "not zero")
    if blob.media_type != _MEDIA_TYPE:
        raise RejectedError(f"{kind}.media_type", _MEDIA_TYPE)
    return blob


def _receive_time(message: pb.Instance) -> datetime:
    if not message.HasField("receive_time"):
        return datetime.now(UTC)
    try:
        return message.receive_time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise RejectedError("receive_time", "between the years 1 and 9999") from None


def _study(attributes: InstanceAttributes) -> StudyAttributes:
    return StudyAttributes(
        study_instance_uid=attributes.study_instance_uid,
        patient_id_text=attributes.patient_id,
        issuer_of_patient_id=attributes.issuer_of_patient_id,
        patient_name=attributes.patient_name,
        patient_birth_date=attributes.patient_birth_date,
        patient_sex=attributes.patient_sex,
        study_date=attributes.study_date,
        study_time=attributes.study_time,
        accession_number=attributes.accession_number,
        study_id_text=attributes.study_id,
        study_description=attributes.study_description,
        referring_physician_name=attributes.referring_physician_name,
    )


def _series(attributes: InstanceAttributes) -> SeriesAttributes:
    return SeriesAttributes(
        series_instance_uid=attributes.series_instance_uid,
        modality=attributes.modality,
        series_description=attributes.series_description,
        series_number=_optional(attributes, "series_number"),
        body_part_examined=attributes.body_part_examined,
        protocol_name=attributes.protocol_name,
        station_name=attributes.station_name,
        series_date=attributes.series_date,
        series_time=attributes.series_time,
        step_start_date=attributes.performed_procedure_step_start_date,
        step_start_time=attributes.performed_procedure_step_start_time,
    )


_has: Callable[[InstanceAttributes, str], bool] = InstanceAttributes.HasField  # type: ignore[assignment] # the stub lists names


def _optional(attributes: InstanceAttributes, name: str) -> int | None:
    return int(getattr(attributes, name)) if _has(attributes, name) else None


def _cut(text: str, length: int) -> str:
    return text.replace("\0", "")[:length]

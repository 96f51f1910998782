"""Attributes that queries match and that answers hold, and where rows keep them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydicom.tag import Tag

from gateway.query_retrieve.models import Level
from heimdallr.archive.v1.archive_service_pb2 import Patient, QueryRow, Study
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.dicom.encoding import dictionary_vr

Value = Callable[[QueryRow], str]


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that we know of every entity of a level.

    Attributes:
        keyword: Keyword of PS3.6.
        tag: Its tag.
        vr: Its VR.
        level: The level it belongs to.
        matched: Whether queries may match it.
        value: Finds it in a row; "" where the entity has none.
    """

    keyword: str
    tag: int
    vr: str
    level: Level
    matched: bool
    value: Value


def known(level: Level) -> Mapping[int, Attribute]:
    """Return the attributes that a query of a level can hold, by tag.

    Those of the levels above are among them.
    """
    return _BY_LEVEL[level]


def _attribute(keyword: str, level: Level, value: Value, *, matched: bool = True) -> Attribute:
    tag = int(Tag(keyword))
    vr = dictionary_vr(tag).partition(" ")[0]
    return Attribute(keyword, tag, vr, level, matched, value)


def _patient(field: str) -> Value:
    def value(row: QueryRow) -> str:
        holder: Patient | Study = row.patient if row.HasField("patient") else row.study
        return str(getattr(holder, field))

    return value


def _count(field: str) -> Value:
    return lambda row: str(getattr(row.patient, field))


def _study(field: str) -> Value:
    return lambda row: str(getattr(row.study, field))


def _series(field: str) -> Value:
    return lambda row: _text(row.series.attributes, field)


def _image(field: str) -> Value:
    return lambda row: _text(row.instance.attributes, field)


def _text(attributes: InstanceAttributes, field: str) -> str:
    # What is absent is not listed, while a number 0 is.
    value = {found.name: value for found, value in attributes.ListFields()}.get(field, "")
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return f"{value:.10g}"
    return "\\".join(f"{number:.10g}" for number in value)


_PATIENT_TEXTS: Final = {
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer_of_patient_id",
    "PatientName": "patient_name",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
}
_PATIENT_COUNTS: Final = {
    "NumberOfPatientRelatedStudies": "study_count",
    "NumberOfPatientRelatedSeries": "series_count",
    "NumberOfPatientRelatedInstances": "instance_count",
}
_STUDY_TEXTS: Final = {
    "StudyInstanceUID": "study_instance_uid",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "AccessionNumber": "accession_number",
    "StudyID": "study_id_text",
    "StudyDescription": "study_description",
    "ReferringPhysicianName": "referring_physician_name",
}
_STUDY_COUNTS: Final = {
    "NumberOfStudyRelatedSeries": "series_count",
    "NumberOfStudyRelatedInstances": "instance_count",
}
_SERIES_TEXTS: Final = {
    "SeriesInstanceUID": "series_instance_uid",
    "Modality": "modality",
    "SeriesNumber": "series_number",
    "SeriesDescription": "series_description",
    "SeriesDate": "series_date",
    "SeriesTime": "series_time",
    "BodyPartExamined": "body_part_examined",
    "ProtocolName": "protocol_name",
    "StationName": "station_name",
    "PerformedProcedureStepStartDate": "performed_procedure_step_start_date",
    "PerformedProcedureStepStartTime": "performed_procedure_step_start_time",
}
_SERIES_SHOWN: Final = {
    "Manufacturer": "manufacturer",
    "FrameOfReferenceUID": "frame_of_reference_uid",
}
_IMAGE_TEXTS: Final = {
    "SOPInstanceUID": "sop_instance_uid",
    "SOPClassUID": "sop_class_uid",
    "InstanceNumber": "instance_number",
}
_IMAGE_SHOWN: Final = {
    "ImageType": "image_type",
    "AcquisitionNumber": "acquisition_number",
    "Rows": "rows",
    "Columns": "columns",
    "NumberOfFrames": "number_of_frames",
    "ImagePositionPatient": "image_position_mm",
    "ImageOrientationPatient": "image_orientation",
    "PixelSpacing": "pixel_spacing_mm",
    "SliceThickness": "slice_thickness_mm",
    "ContrastBolusAgent": "contrast_bolus_agent",
    "ConvolutionKernel": "convolution_kernel",
    "PatientPosition": "patient_position",
    "ViewPosition": "view_position",
    "BurnedInAnnotation": "burned_in_annotation",
}

_ATTRIBUTES: Final = (
    *(_attribute(k, Level.PATIENT, _patient(f)) for k, f in _PATIENT_TEXTS.items()),
    *(_attribute(k, Level.PATIENT, _count(f), matched=False) for k, f in _PATIENT_COUNTS.items()),
    *(_attribute(k, Level.STUDY, _study(f)) for k, f in _STUDY_TEXTS.items()),
    *(_attribute(k, Level.STUDY, _study(f), matched=False) for k, f in _STUDY_COUNTS.items()),
    _attribute("ModalitiesInStudy", Level.STUDY, lambda row: "\\".join(row.study.modalities)),
    *(_attribute(k, Level.SERIES, _series(f)) for k, f in _SERIES_TEXTS.items()),
    *(_attribute(k, Level.SERIES, _series(f), matched=False) for k, f in _SERIES_SHOWN.items()),
    _attribute(
        "NumberOfSeriesRelatedInstances",
        Level.SERIES,
        lambda row: str(row.series.instance_count),
        matched=False,
    ),
    *(_attribute(k, Level.IMAGE, _image(f)) for k, f in _IMAGE_TEXTS.items()),
    *(_attribute(k, Level.IMAGE, _image(f), matched=False) for k, f in _IMAGE_SHOWN.items()),
)
_COUNTS_OF_PATIENTS: Final = frozenset(_PATIENT_COUNTS)


def _known(level: Level) -> Mapping[int, Attribute]:
    levels = list(Level)
    reached = levels[: levels.index(level) + 1]
    # Rows below the patient do not count what else the patient has.
    left_out: frozenset[str] = frozenset() if level is Level.PATIENT else _COUNTS_OF_PATIENTS
    return MappingProxyType(
        {a.tag: a for a in _ATTRIBUTES if a.level in reached and a.keyword not in left_out}
    )


_BY_LEVEL: Final = {level: _known(level) for level in Level}

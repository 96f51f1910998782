"""Matches of a search in the DICOM JSON Model (PS3.18 section 10.6.3, Annex F)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pydicom.datadict import dictionary_VR, tag_for_keyword

from gateway.dicomweb.archive import Target
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes

JsonObject = dict[str, Any]

_STUDY: Final = {
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "AccessionNumber": "accession_number",
    "ModalitiesInStudy": "modalities",
    "ReferringPhysicianName": "referring_physician_name",
    "StudyDescription": "study_description",
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer_of_patient_id",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
    "StudyInstanceUID": "study_instance_uid",
    "StudyID": "study_id_text",
    "NumberOfStudyRelatedSeries": "series_count",
    "NumberOfStudyRelatedInstances": "instance_count",
}
_SERIES: Final = {
    "Modality": "modality",
    "SeriesDescription": "series_description",
    "SeriesInstanceUID": "series_instance_uid",
    "SeriesNumber": "series_number",
    "BodyPartExamined": "body_part_examined",
    "NumberOfSeriesRelatedInstances": "instance_count",
}
_SERIES_ATTRIBUTES: Final = {
    "ProtocolName": "protocol_name",
    "StationName": "station_name",
    "Manufacturer": "manufacturer",
    "FrameOfReferenceUID": "frame_of_reference_uid",
    "PatientPosition": "patient_position",
}
_INSTANCE: Final = {
    "SOPClassUID": "sop_class_uid",
    "SOPInstanceUID": "sop_instance_uid",
    "AvailableTransferSyntaxUID": "transfer_syntax_uid",
    "InstanceNumber": "instance_number",
    "ImageType": "image_type",
    "Rows": "rows",
    "Columns": "columns",
    "NumberOfFrames": "number_of_frames",
    "ImagePositionPatient": "image_position_mm",
    "ImageOrientationPatient": "image_orientation",
    "PixelSpacing": "pixel_spacing_mm",
    "SliceThickness": "slice_thickness_mm",
    "ConvolutionKernel": "convolution_kernel",
    "AcquisitionNumber": "acquisition_number",
    "ViewPosition": "view_position",
    "BurnedInAnnotation": "burned_in_annotation",
}
_ONLY_IF_ASKED: Final = frozenset(
    tag_for_keyword(keyword) or 0
    for keyword in (*_SERIES_ATTRIBUTES, *_INSTANCE)
    if keyword
    not in {
        "SOPClassUID",
        "SOPInstanceUID",
        "AvailableTransferSyntaxUID",
        "InstanceNumber",
        "Rows",
        "Columns",
        "NumberOfFrames",
    }
)


def _tags(names: Iterable[str]) -> set[int]:
    return {tag_for_keyword(keyword) or 0 for keyword in names}


_INTEGERS: Final = frozenset({"IS", "US", "UL"})
_NAME_PARTS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def match_json(
    row: pb.QueryRow,
    root: str,
    *,
    named: int,
    fields: frozenset[int] = frozenset(),
    every: bool = False,
) -> JsonObject:
    """Return one match.

    Args:
        row: What was found.
        root: URL of the service, for Retrieve URL.
        named: How many levels the address names, whose attributes are left out: 0 none, 1 the
            study, 2 the series too.
        fields: Further attributes that are wanted.
        every: Whether all that are known are wanted.
    """
    content: JsonObject = {}
    in_series = bool(row.series.series_id)
    in_instance = row.HasField("instance")
    _fill(content, row.study, _STUDY)
    unwanted = set(_ONLY_IF_ASKED)
    if in_series:
        unwanted |= _tags(_STUDY) if named else set()
        _fill(content, row.series, _SERIES)
        _fill(content, row.series.attributes, _SERIES_ATTRIBUTES)
    if in_instance:
        unwanted |= _tags(_SERIES) if named > 1 else set()
        _fill(content, row.instance.attributes, _INSTANCE)
    if not every:
        for tag in unwanted - fields:
            content.pop(f"{tag:08X}", None)
    _identify(content, row, root)
    return dict(sorted(content.items()))


def retrieve_url(root: str, target: Target) -> str:
    """Return where a study, series or instance is retrieved."""
    url = f"{root}/studies/{target.study}"
    if target.series:
        url += f"/series/{target.series}"
    return f"{url}/instances/{target.instance}" if target.instance else url


def _identify(content: JsonObject, row: pb.QueryRow, root: str) -> None:
    series = row.series.series_instance_uid
    instance = row.instance.attributes.sop_instance_uid
    target = Target(row.study.study_instance_uid, series, instance)
    named = (("StudyInstanceUID", target.study), ("SeriesInstanceUID", series))
    _put(content, [(keyword, uid) for keyword, uid in named if uid])
    _put(
        content,
        [("InstanceAvailability", "ONLINE"), ("RetrieveURL", retrieve_url(root, target))],
    )
    if any(not text.isascii() for text in _texts(content)):
        _put(content, [("SpecificCharacterSet", "ISO_IR 192")])


def _fill(content: JsonObject, message: Any, names: dict[str, str]) -> None:
    _put(content, [(keyword, _value(message, name)) for keyword, name in names.items()])


def _value(message: Any, name: str) -> Any:
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.has_presence and not message.HasField(name):
        return ""
    value = getattr(message, name)
    if isinstance(message, InstanceAttributes) and name == "image_type":
        return value.split("\\") if value else ""
    return value


def _put(content: JsonObject, values: Iterable[tuple[str, Any]]) -> None:
    for keyword, value in values:
        tag = tag_for_keyword(keyword)
        if tag is None:
            continue
        vr = dictionary_VR(tag)
        entry: JsonObject = {"vr": vr}
        listed = list(value) if not isinstance(value, str | int | float) else [value]
        given = [_json(vr, item) for item in listed if item != ""]
        if given:
            entry["Value"] = given
        content[f"{tag:08X}"] = entry


def _json(vr: str, value: Any) -> Any:
    if vr == "PN":
        groups = str(value).split("=", 2)
        return {key: group for key, group in zip(_NAME_PARTS, groups, strict=False) if group}
    return int(value) if vr in _INTEGERS else value


def _texts(content: JsonObject) -> Iterable[str]:
    for entry in content.values():
        for value in entry.get("Value", ()):
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict):
                yield from map(str, value.values())

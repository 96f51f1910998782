"""Attributes of real and of hostile files."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from services.dicom.attributes import IndexAttributes, read_index_attributes
from services.dicom.errors import (
    DicomError,
)
from services.dicom.part10 import split_part10

PYDICOM_FILES = Path(pydicom.__file__).parent / "data"


_TEXTS = {
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "study_id": "StudyID",
    "accession_number": "AccessionNumber",
    "study_description": "StudyDescription",
    "referring_physician_name": "ReferringPhysicianName",
    "series_date": "SeriesDate",
    "series_time": "SeriesTime",
    "performed_procedure_step_start_date": "PerformedProcedureStepStartDate",
    "performed_procedure_step_start_time": "PerformedProcedureStepStartTime",
    "series_description": "SeriesDescription",
    "modality": "Modality",
    "body_part_examined": "BodyPartExamined",
    "protocol_name": "ProtocolName",
    "station_name": "StationName",
    "manufacturer": "Manufacturer",
    "manufacturer_model_name": "ManufacturerModelName",
    "institution_name": "InstitutionName",
    "frame_of_reference_uid": "FrameOfReferenceUID",
    "acquisition_date": "AcquisitionDate",
    "acquisition_time": "AcquisitionTime",
    "burned_in_annotation": "BurnedInAnnotation",
    "sop_class_uid": "SOPClassUID",
    "sop_instance_uid": "SOPInstanceUID",
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
}


_NUMBERS = {
    "series_number": "SeriesNumber",
    "acquisition_number": "AcquisitionNumber",
    "instance_number": "InstanceNumber",
    "rows": "Rows",
    "columns": "Columns",
    "number_of_frames": "NumberOfFrames",
}


def _text(value: object) -> str:
    if isinstance(value, MultiValue):
        return "\\".join(str(part).strip() for part in value)
    return "" if value is None else str(value).replace("\0", "").strip()


def _differences(read: IndexAttributes, dataset: Dataset) -> list[str]:
    texts = [
        keyword
        for name, keyword in _TEXTS.items()
        if getattr(read, name).rstrip("=") != _text(dataset.get(keyword))
    ]
    numbers = [
        keyword
        for name, keyword in _NUMBERS.items()
        if getattr(read, name) != _number(dataset.get(keyword))
    ]
    return texts + numbers


def _number(value: object) -> int | None:
    if isinstance(value, MultiValue):
        value = value[0]
    text = "" if value is None else str(value)
    return int(text) if text.lstrip("+-").isdecimal() else None


@pytest.mark.corpora
@pytest.mark.filterwarnings("ignore")
def test_every_attribute_of_the_corpora_is_what_pydicom_reads(corpora: Path) -> None:
    compared = refused = 0
    for path in _files(corpora, hostile=False) + _files(PYDICOM_FILES, hostile=False):
        meta, offset, data = _open(path)
        if meta is None:
            continue
        try:
            read = read_index_attributes(data[offset:], meta, whole=False)
        except DicomError:
            refused += 1
            continue
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        assert _differences(read, dataset) == [], path.name
        compared += 1

    assert compared > 450
    assert refused < 60


@pytest.mark.corpora
@pytest.mark.timeout(60)
def test_hostile_files_raise_nothing_but_dicom_errors_and_quickly(corpora: Path) -> None:
    refused, texts = 0, list[str]()
    for path in _files(corpora, hostile=True):
        try:
            meta, offset, data = _open(path)
            if meta is not None:
                read_index_attributes(data[offset:], meta)
        except DicomError as error:
            refused += 1
            texts.append(str(error))

    assert refused > 40
    assert all(text.isascii() and len(text) < 100 for text in texts)


def _files(corpora: Path, *, hostile: bool) -> list[Path]:
    found = [path for path in sorted(corpora.rglob("*")) if path.is_file()]
    return [path for path in found if ("hostile" in path.parts) is hostile]


def _open(path: Path) -> tuple[str | None, int, bytes]:
    data = path.read_bytes()
    try:
        meta, offset = split_part10(data)
    except DicomError:
        return None, 0, data
    return meta.transfer_syntax_uid, offset, data

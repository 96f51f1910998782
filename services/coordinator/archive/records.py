"""Rows of the archive as records."""

from __future__ import annotations

from typing import Final

import asyncpg

from services.coordinator.archive.study import (
    Evidence,
    InstanceRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
    StudyState,
)
from services.runtime.blob_ref import BlobRef

DICOM_MEDIA_TYPE: Final = "application/dicom"
_STUDY_FIELDS: Final = tuple(StudyRecord.__dataclass_fields__)
_SERIES_FIELDS: Final = tuple(SeriesRecord.__dataclass_fields__)


def patient_from_row(row: asyncpg.Record) -> PatientRecord:
    """Return a patient with what their latest study says of them."""
    fields = dict(row.items())
    fields["patient_key"] = str(fields.pop("patient_id"))
    return PatientRecord(**fields)


def study_from_row(row: asyncpg.Record) -> StudyRecord:
    """Return a row of ``archive.study`` as a record."""
    fields = {name: row[name] for name in _STUDY_FIELDS}
    fields["study_id"] = str(fields["study_id"])
    fields["patient_id"] = str(fields["patient_id"])
    fields["modalities"] = tuple(fields["modalities"])
    fields["state"] = StudyState(fields["state"])
    fields["evidence"] = Evidence(fields["evidence"]) if fields["evidence"] else None
    return StudyRecord(**fields)


def series_from_row(row: asyncpg.Record) -> SeriesRecord:
    """Return a row of ``archive.series`` as a record."""
    fields = {name: row[name] for name in _SERIES_FIELDS}
    fields["series_id"] = str(fields["series_id"])
    fields["study_id"] = str(fields["study_id"])
    return SeriesRecord(**fields)


def instance_from_row(row: asyncpg.Record) -> InstanceRecord:
    """Return a row of ``archive.instance`` as a record."""
    return InstanceRecord(
        instance_id=str(row["instance_id"]),
        series_id=str(row["series_id"]),
        study_id=str(row["study_id"]),
        blob=BlobRef(row["sha256"], row["size_bytes"], DICOM_MEDIA_TYPE),
        attributes=row["attributes"],
        generation=row["generation"],
        instance_number=row["instance_number"],
        receive_time=row["receive_time"],
    )

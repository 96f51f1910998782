"""What the archive knows of a study, without transport or database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.runtime.blob_ref import BlobRef


class StudyState(StrEnum):
    """State of a study, derived from its stages."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    PROCESSING = "processing"
    READY = "ready"
    HELD = "held"


class Evidence(StrEnum):
    """How the completeness of a study is known."""

    MANIFEST = "manifest"
    COUNT = "count"
    RELEASED = "released"
    QUIET = "quiet"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """One study. DICOM values are as sent; ``study_id`` and ``patient_id`` are ours.

    Attributes:
        patient_mismatch_count: Instances that came with another Patient ID or issuer.
    """

    study_id: str
    study_instance_uid: str
    patient_id: str
    patient_id_text: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_day: str
    study_time: str
    accession_number: str
    study_id_text: str
    study_description: str
    referring_physician_name: str
    modalities: tuple[str, ...]
    series_count: int
    instance_count: int
    conflict_count: int
    patient_mismatch_count: int
    state: StudyState
    evidence: Evidence | None
    generation: int
    priority: int
    first_receive_time: datetime
    last_receive_time: datetime


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """One patient, with what the latest study says of them.

    Attributes:
        patient_key: Our id.
    """

    patient_key: str
    patient_id_text: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    study_count: int
    series_count: int
    instance_count: int


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """One series.

    Attributes:
        last_generation: Generation of the study in which its latest instance came.
    """

    series_id: str
    study_id: str
    series_instance_uid: str
    modality: str
    series_description: str
    series_number: int | None
    body_part_examined: str
    instance_count: int
    last_generation: int


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One instance.

    Attributes:
        blob: Its DICOM file (PS3.10).
        attributes: ``heimdallr.imaging.v1.InstanceAttributes``, serialized.
        generation: Generation of the study in which it came.
    """

    instance_id: str
    series_id: str
    study_id: str
    blob: BlobRef
    attributes: bytes
    generation: int
    instance_number: int | None
    receive_time: datetime


@dataclass(frozen=True, slots=True)
class JudgedStudy:
    """A study that may be called complete, and why."""

    study_id: str
    generation: int
    evidence: Evidence


class StudyOrder(StrEnum):
    """Order of a list of studies."""

    RECEIVED_DESCENDING = "received_descending"
    RECEIVED_ASCENDING = "received_ascending"
    STUDY_DATE_DESCENDING = "study_date_descending"


@dataclass(frozen=True, slots=True)
class StudyKey:
    """Place of a study in an ordered list.

    Attributes:
        place: When its first instance came, or its Study Date as YYYYMMDD: what is ordered by.
    """

    place: datetime | str
    study_id: str

    @classmethod
    def of(cls, study: StudyRecord, order: StudyOrder) -> StudyKey:
        """Return the place of a study."""
        by_day = order is StudyOrder.STUDY_DATE_DESCENDING
        return cls(study.study_day if by_day else study.first_receive_time, study.study_id)


@dataclass(frozen=True, slots=True)
class InstanceKey:
    """Place of an instance in its series; those without a number come last."""

    number: int | None
    instance_id: str

"""Instances on their way into the index, and what becomes of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final

from services.coordinator.archive.words import indexed_words, name_key
from services.runtime.ids import new_id

_DAY: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class StudyAttributes:
    """What a study is listed with, as sent."""

    study_instance_uid: str
    patient_id_text: str
    issuer_of_patient_id: str
    patient_name: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_time: str
    accession_number: str
    study_id_text: str
    study_description: str
    referring_physician_name: str

    @property
    def patient(self) -> tuple[str, str]:
        """Patient ID and issuer."""
        return self.patient_id_text, self.issuer_of_patient_id

    @property
    def patient_key(self) -> str:
        """SHA-256 of what tells patients apart; without a Patient ID, every study is its own."""
        scope = "" if self.patient_id_text else self.study_instance_uid
        parts = (self.patient_id_text, self.issuer_of_patient_id, scope)
        # NUL cannot occur in a value.
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @property
    def study_day(self) -> str:
        """Study Date as YYYYMMDD, with or without the dots of ACR-NEMA; else empty."""
        match = _DAY.fullmatch(self.study_date.strip())
        return "".join(match.groups()) if match else ""

    @property
    def patient_name_key(self) -> str:
        """Patient's Name as it is matched."""
        return name_key(self.patient_name)

    @property
    def referring_physician_name_key(self) -> str:
        """Referring Physician's Name as it is matched."""
        return name_key(self.referring_physician_name)

    @property
    def words(self) -> list[str]:
        """Words by which the study is found."""
        return indexed_words(
            self.patient_name, self.patient_id_text, self.accession_number, self.study_description
        )


@dataclass(frozen=True, slots=True)
class SeriesAttributes:
    """What a series is listed with, as sent."""

    series_instance_uid: str
    modality: str
    series_description: str
    series_number: int | None
    body_part_examined: str
    protocol_name: str = ""
    station_name: str = ""
    series_date: str = ""
    series_time: str = ""
    step_start_date: str = ""
    step_start_time: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance whose bytes are durable and whose row is not yet.

    Attributes:
        attributes: ``heimdallr.imaging.v1.InstanceAttributes``, serialized.
        sha256: Hash of its DICOM file.
        association_id: Our id of the association that brought it.
        correlation_id: Correlation id of the call that brought it.
        number_of_frames: Zero when it does not say.
    """

    study: StudyAttributes
    series: SeriesAttributes
    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    attributes: bytes
    sha256: str
    size_bytes: int
    association_id: str
    receive_time: datetime
    correlation_id: str = ""
    transfer_syntax_uid: str = ""
    number_of_frames: int = 0
    instance_id: str = field(default_factory=new_id)


class Disposition(Enum):
    """What became of an instance."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that the index holds.

    Attributes:
        study_instance_uid: Study Instance UID of its study.
        generation: Generation of the study in which it came.
    """

    instance_id: str
    series_id: str
    study_id: str
    study_instance_uid: str
    sha256: str
    generation: int


@dataclass(frozen=True, slots=True)
class Indexed:
    """What became of an instance, and the one that holds its SOP Instance UID."""

    disposition: Disposition
    held: Held


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch of arrivals sorted by what is to be done.

    Attributes:
        dispositions: What becomes of each arrival, in the order given.
        new: Arrivals to store, by SOP Instance UID.
        conflicts: Arrivals to keep aside.
    """

    dispositions: Sequence[Disposition]
    new: Mapping[str, Arrival]
    conflicts: Sequence[Arrival]


def sort_arrivals(arrivals: Sequence[Arrival], held: Mapping[str, Held]) -> Sorted:
    """Tell new instances from known ones; the first of equal SOP Instance UIDs wins.

    Args:
        arrivals: Instances in order of arrival.
        held: What the index holds, by SOP Instance UID.
    """
    dispositions: list[Disposition] = []
    new: dict[str, Arrival] = {}
    conflicts: list[Arrival] = []
    for arrival in arrivals:
        uid = arrival.sop_instance_uid
        first = held.get(uid) or new.get(uid)
        if first is None:
            new[uid] = arrival
            dispositions.append(Disposition.STORED)
        elif first.sha256 == arrival.sha256:
            dispositions.append(Disposition.DUPLICATE)
        else:
            conflicts.append(arrival)
            dispositions.append(Disposition.CONFLICT)
    return Sorted(dispositions, new, conflicts)

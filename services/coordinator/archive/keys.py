"""Attributes that queries match, and where the index keeps each (PS3.4 C.6, PS3.18 10.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from services.runtime.errors import InvalidFieldError

_KEYWORD: Final = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)


class Level(IntEnum):
    """Level of the DICOM information model, the highest first."""

    PATIENT = 1
    STUDY = 2
    SERIES = 3
    INSTANCE = 4


class Kind(Enum):
    """How values of an attribute are compared."""

    TEXT = "text"
    NAME = "name"
    DATE = "date"
    TIME = "time"
    NUMBER = "number"
    UID = "uid"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute that is matched.

    Attributes:
        keyword: Keyword of the attribute (PS3.6).
        level: Highest level of a query that may ask for it.
        column: The column as the statements name it; s, e and i are study, series and instance.
        beginning: Whether an index holds the first 64 characters.
    """

    keyword: str
    level: Level
    kind: Kind
    column: str
    beginning: bool = False


_P, _S, _E, _I = Level.PATIENT, Level.STUDY, Level.SERIES, Level.INSTANCE
_NAME: Final = "coalesce(s.{0}_key, '=' || lower(s.{0}) || '=')"
_ALL: Final = (
    Key("PatientID", _P, Kind.TEXT, "s.patient_id_text", beginning=True),
    Key("IssuerOfPatientID", _P, Kind.TEXT, "s.issuer_of_patient_id"),
    Key("PatientName", _P, Kind.NAME, _NAME.format("patient_name")),
    Key("PatientBirthDate", _P, Kind.DATE, "s.patient_birth_date"),
    Key("PatientSex", _P, Kind.TEXT, "s.patient_sex"),
    Key("StudyInstanceUID", _S, Kind.UID, "s.study_instance_uid"),
    Key("StudyDate", _S, Kind.DATE, "s.study_date"),
    Key("StudyTime", _S, Kind.TIME, "s.study_time"),
    Key("AccessionNumber", _S, Kind.TEXT, "s.accession_number", beginning=True),
    Key("StudyID", _S, Kind.TEXT, "s.study_id_text"),
    Key("StudyDescription", _S, Kind.TEXT, "s.study_description"),
    Key("ReferringPhysicianName", _S, Kind.NAME, _NAME.format("referring_physician_name")),
    Key("ModalitiesInStudy", _S, Kind.SET, "s.modalities"),
    Key("SeriesInstanceUID", _E, Kind.UID, "e.series_instance_uid"),
    Key("Modality", _E, Kind.TEXT, "e.modality"),
    Key("SeriesNumber", _E, Kind.NUMBER, "e.series_number"),
    Key("SeriesDescription", _E, Kind.TEXT, "e.series_description"),
    Key("BodyPartExamined", _E, Kind.TEXT, "e.body_part_examined"),
    Key("ProtocolName", _E, Kind.TEXT, "e.protocol_name"),
    Key("StationName", _E, Kind.TEXT, "e.station_name"),
    Key("SeriesDate", _E, Kind.DATE, "e.series_date"),
    Key("SeriesTime", _E, Kind.TIME, "e.series_time"),
    Key("PerformedProcedureStepStartDate", _E, Kind.DATE, "e.step_start_date"),
    Key("PerformedProcedureStepStartTime", _E, Kind.TIME, "e.step_start_time"),
    Key("SOPInstanceUID", _I, Kind.UID, "i.sop_instance_uid"),
    Key("SOPClassUID", _I, Kind.UID, "i.sop_class_uid"),
    Key("InstanceNumber", _I, Kind.NUMBER, "i.instance_number"),
)
KEYS: Final[Mapping[str, Key]] = {key.keyword: key for key in _ALL}
"""By keyword."""

DATE_OF_TIME: Final = {
    "StudyTime": "StudyDate",
    "SeriesTime": "SeriesDate",
    "PerformedProcedureStepStartTime": "PerformedProcedureStepStartDate",
}
"""Times that are one instant together with a date (PS3.4 C.2.2.2.5)."""


def key_of(keyword: str, level: Level) -> Key:
    """Return the attribute of a keyword.

    Raises:
        InvalidFieldError: Not matched at all, or only by queries of a lower level.
    """
    key = KEYS.get(keyword)
    if key is None:
        named = keyword if _KEYWORD.fullmatch(keyword) else "matches.keyword"
        raise InvalidFieldError(named, "an attribute that is indexed")
    if key.level > level:
        raise InvalidFieldError(keyword, "an attribute of the level asked for, or of one above")
    return key

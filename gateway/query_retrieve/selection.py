"""What a C-MOVE or C-GET identifier asks for (PS3.4 C.4.2.2 and C.4.3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.query_retrieve.identifier import Identifier
from gateway.query_retrieve.models import UNIQUE_KEYS, Level, Model
from gateway.query_retrieve.query import IdentifierError, level_of
from services.dicom.uids import valid_uid

_MOST: Final = {Level.STUDY: 1_000, Level.SERIES: 1_000, Level.IMAGE: 10_000}


@dataclass(frozen=True, slots=True)
class Selection:
    """Instances by the entities that hold them; empty is any, all are AND-ed.

    Attributes:
        patient_id: Patient ID (0010,0020), exact.
        study_uids: Study Instance UIDs.
        series_uids: Series Instance UIDs.
        sop_instance_uids: SOP Instance UIDs.
    """

    patient_id: str = ""
    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()


def read_selection(identifier: Identifier, model: Model, *, relational: bool) -> Selection:
    """Return what an identifier asks for; keys other than the unique ones are not looked at.

    Args:
        identifier: The identifier.
        model: Information model of the SOP class.
        relational: Whether the keys above the level may be left out (PS3.4 C.4.2.2.2).

    Raises:
        IdentifierError: It does not fit the model.
    """
    level = level_of(identifier, model)
    found = {at: identifier.values(UNIQUE_KEYS[at]) for at in (*model.above(level), level)}
    if not found[level]:
        raise IdentifierError("the unique key of the level is required")
    if not relational and any(len(found[above]) != 1 for above in model.above(level)):
        raise IdentifierError("one value of each unique key above the level is required")
    patient_ids = found.get(Level.PATIENT, ())
    if len(patient_ids) > 1:
        raise IdentifierError("PatientID: one value")
    return Selection(
        patient_id=patient_ids[0] if patient_ids else "",
        study_uids=_uids(found.get(Level.STUDY, ()), Level.STUDY),
        series_uids=_uids(found.get(Level.SERIES, ()), Level.SERIES),
        sop_instance_uids=_uids(found.get(Level.IMAGE, ()), Level.IMAGE),
    )


def _uids(values: tuple[str, ...], level: Level) -> tuple[str, ...]:
    if len(values) > _MOST[level]:
        raise IdentifierError("too many UIDs")
    if not all(map(valid_uid, values)):
        raise IdentifierError("not a UID")
    return values

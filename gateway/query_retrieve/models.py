"""Information models of Query/Retrieve (PS3.4 C.3 and C.6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

PATIENT_ID: Final = 0x00100020
STUDY_UID: Final = 0x0020000D
SERIES_UID: Final = 0x0020000E
SOP_INSTANCE_UID: Final = 0x00080018


class Level(Enum):
    """Query/Retrieve Level (0008,0052)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


UNIQUE_KEYS: Final = MappingProxyType(
    {
        Level.PATIENT: PATIENT_ID,
        Level.STUDY: STUDY_UID,
        Level.SERIES: SERIES_UID,
        Level.IMAGE: SOP_INSTANCE_UID,
    }
)
"""The attribute that names one entity of a level (PS3.4 C.6)."""


@dataclass(frozen=True, slots=True)
class Model:
    """One information model and its SOP classes.

    Attributes:
        find: SOP class of C-FIND.
        move: SOP class of C-MOVE.
        get: SOP class of C-GET.
        levels: Its levels from the top.
    """

    find: str
    move: str
    get: str
    levels: tuple[Level, ...]

    def above(self, level: Level) -> tuple[Level, ...]:
        """Return the levels above one."""
        return self.levels[: self.levels.index(level)]


PATIENT_ROOT: Final = Model(
    find="1.2.840.10008.5.1.4.1.2.1.1",
    move="1.2.840.10008.5.1.4.1.2.1.2",
    get="1.2.840.10008.5.1.4.1.2.1.3",
    levels=(Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE),
)
STUDY_ROOT: Final = Model(
    find="1.2.840.10008.5.1.4.1.2.2.1",
    move="1.2.840.10008.5.1.4.1.2.2.2",
    get="1.2.840.10008.5.1.4.1.2.2.3",
    levels=(Level.STUDY, Level.SERIES, Level.IMAGE),
)
MODELS: Final = (PATIENT_ROOT, STUDY_ROOT)


def model_of(sop_class_uid: str) -> Model:
    """Return the model that a SOP class of ours belongs to."""
    return next(m for m in MODELS if sop_class_uid in (m.find, m.move, m.get))

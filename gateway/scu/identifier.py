"""Identifiers that we send: keys by keyword as a data set (PS3.4 C.4.1.1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from gateway.peers.errors import PeerOutsideError
from gateway.peers.peer import Peer
from services.dicom.uids import valid_uid
from services.runtime.errors import InvalidFieldError

MAX_KEYS: Final = 200
MAX_VALUE: Final = 65_536
MAX_UIDS: Final = 1_000
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_CHARACTER_SET: Final = 0x00080005
_NUMBERS: Final = {"US", "SS", "UL", "SL"}
_NO_TEXT: Final = {"SQ", "OB", "OW", "OF", "OD", "OL", "OV", "UN", "AT", "FL", "FD", "SV", "UV"}
_TELLS_NOBODY: Final = frozenset(
    {
        "InstanceNumber",
        "ModalitiesInStudy",
        "Modality",
        "QueryRetrieveLevel",
        "SOPClassUID",
        "SOPClassesInStudy",
        "SOPInstanceUID",
        "SeriesDate",
        "SeriesInstanceUID",
        "SeriesNumber",
        "SeriesTime",
        "StudyDate",
        "StudyInstanceUID",
        "StudyTime",
    }
)
"""Keys whose values may go to a peer outside; of all others it is assumed that they tell."""


class Level(Enum):
    """Query/Retrieve Level (0008,0052)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


class Model(Enum):
    """An information model and the SOP classes of its services (PS3.4 C.6, K.6)."""

    STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2"
    PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1"
    MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"

    @property
    def find_class(self) -> str:
        """SOP class of C-FIND."""
        return self.value if self is Model.MODALITY_WORKLIST else f"{self.value}.1"

    @property
    def move_class(self) -> str:
        """SOP class of C-MOVE."""
        return f"{self._retrieves()}.2"

    @property
    def get_class(self) -> str:
        """SOP class of C-GET."""
        return f"{self._retrieves()}.3"

    def _retrieves(self) -> str:
        if self is Model.MODALITY_WORKLIST:
            raise InvalidFieldError("model", "study root or patient root")
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute of an identifier.

    Attributes:
        keyword: Keyword or tag as eight hexadecimal digits; "Sequence.Keyword" for one in the
            only item of a sequence.
        value: What it must match; "" only asks for its value.
    """

    keyword: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class RetrieveKeys:
    """What is retrieved: unique keys of the level and above (PS3.4 C.4.2.1.4.1)."""

    level: Level
    patient_id: str = ""
    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()

    def keys(self, model: Model) -> list[Key]:
        """Return them as keys.

        Raises:
            InvalidFieldError: One that the level needs is absent, or none of this level is.
        """
        lists = (
            ("StudyInstanceUID", Level.STUDY, self.study_instance_uids),
            ("SeriesInstanceUID", Level.SERIES, self.series_instance_uids),
            ("SOPInstanceUID", Level.IMAGE, self.sop_instance_uids),
        )
        order = list(Level)
        depth = order.index(self.level)
        if not self.patient_id and (model is Model.PATIENT_ROOT or self.level is Level.PATIENT):
            raise InvalidFieldError("keys.patient_id", "needed at this level of this model")
        found = [Key("PatientID", self.patient_id)] if self.patient_id else []
        for keyword, level, uids in lists:
            field = f"keys.{_FIELDS[keyword]}"
            _check_uids(field, uids, order.index(level) - depth)
            if uids:
                found.append(Key(keyword, "\\".join(uids)))
        return found


_FIELDS: Final = {
    "StudyInstanceUID": "study_instance_uids",
    "SeriesInstanceUID": "series_instance_uids",
    "SOPInstanceUID": "sop_instance_uids",
}


def data_set(level: Level | None, keys: Iterable[Key]) -> Dataset:
    """Return an identifier.

    Args:
        level: Query/Retrieve Level; None for the worklist.
        keys: Its keys; text outside ASCII makes it UTF-8.

    Raises:
        InvalidFieldError: A keyword is unknown, stands twice, or takes no value of that kind.
    """
    found = list(keys)
    if len(found) > MAX_KEYS:
        raise InvalidFieldError("keys", f"at most {MAX_KEYS}")
    identifier = Dataset()
    if not all(key.value.isascii() for key in found):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    if level is not None:
        identifier.QueryRetrieveLevel = level.value
    for key in found:
        _add(identifier, key)
    return identifier


def check_outside(peer: Peer, keys: Iterable[Key]) -> None:
    """Check that no value goes to a peer outside which could tell who somebody is.

    Raises:
        PeerOutsideError: One does.
    """
    if peer.inside:
        return
    for key in keys:
        if key.value.strip("*") and _keyword(key.keyword) not in _TELLS_NOBODY:
            raise PeerOutsideError(peer.name)


def known_tag(keyword: str) -> int:
    """Return the tag of a keyword, or of a tag as eight hexadecimal digits.

    Raises:
        InvalidFieldError: PS3.6 knows neither.
    """
    if _TAG.fullmatch(keyword):
        return int(keyword, 16)
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise InvalidFieldError("keys", "keywords of PS3.6 or tags")
    return tag


def _keyword(keyword: str) -> str:
    return str(keyword_for_tag(int(keyword, 16))) if _TAG.fullmatch(keyword) else keyword


def _add(identifier: Dataset, key: Key) -> None:
    *path, last = key.keyword.split(".")
    if len(path) > 2 or len(key.value) > MAX_VALUE:
        raise InvalidFieldError("keys", f"values of at most {MAX_VALUE} characters, two sequences")
    for name in path:
        identifier = _item(identifier, known_tag(name))
    tag = known_tag(last)
    vr = _vr(tag)
    if tag in identifier or tag >> 16 in (0x0000, 0x0002, 0xFFFE):
        raise InvalidFieldError("keys", "no attribute twice, none of groups 0000, 0002, FFFE")
    if tag == _CHARACTER_SET:
        raise InvalidFieldError("keys", "not Specific Character Set: it follows from the values")
    value = _value(vr, key.value)
    identifier.add(DataElement(tag, vr, value, validation_mode=config.IGNORE))


def _item(identifier: Dataset, tag: int) -> Dataset:
    if _vr(tag) != "SQ":
        raise InvalidFieldError("keys", "a dot after sequences alone")
    if tag not in identifier:
        identifier.add(DataElement(tag, "SQ", [Dataset()]))
    items: Sequence[Dataset] = identifier[tag].value
    if not items:
        raise InvalidFieldError("keys", "no attribute twice")
    return items[0]


def _vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag)).partition(" ")[0]
    except KeyError:
        return "UN"


def _value(vr: str, text: str) -> object:
    if vr == "SQ":
        value: object = []
    elif not text:
        return None
    elif vr in _NUMBERS:
        try:
            return [int(part) for part in text.split("\\")]
        except ValueError:
            raise InvalidFieldError("keys", "whole numbers where the VR is binary") from None
    else:
        value = text
    if text and vr in _NO_TEXT:
        raise InvalidFieldError("keys", "no value for sequences and binary attributes")
    return value


def _check_uids(field: str, uids: tuple[str, ...], below: int) -> None:
    """Check the UIDs of one level; ``below`` is how many levels it lies below the one asked."""
    if below > 0 and uids:
        raise InvalidFieldError(field, "none below the level")
    if below == 0 and not uids:
        raise InvalidFieldError(field, "needed at this level")
    if below < 0 and len(uids) > 1:
        raise InvalidFieldError(field, "one above the level")
    if len(uids) > MAX_UIDS or not all(map(valid_uid, uids)):
        raise InvalidFieldError(field, f"at most {MAX_UIDS} UIDs")

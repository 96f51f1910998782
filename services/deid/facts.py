"""What the header of an object says of whom it is about, before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.deid.dummies import OWN_WORDS
from services.deid.identifiers import (
    NUMBERS,
    PERSONS,
    identifier,
    is_identifier,
    nested_identifiers,
)
from services.deid.layout import Layout, Place
from services.deid.pseudonyms import patient_key
from services.dicom import charset
from services.dicom.uids import TransferSyntax

CHARACTER_SET: Final = 0x00080005
SOP_CLASS: Final = 0x00080016
SOP_INSTANCE: Final = 0x00080018
STUDY_INSTANCE: Final = 0x0020000D
_PATIENT_ID: Final = 0x00100020
_ISSUER: Final = 0x00100021
_UIDS: Final = frozenset({SOP_INSTANCE, STUDY_INSTANCE, 0x0020000E, 0x00200052})
_SERIES_INSTANCE: Final = 0x0020000E
_PATIENT_NAME: Final = 0x00100010
_BIRTH_DATE: Final = 0x00100030
_DATES: Final = frozenset({_BIRTH_DATE})
_LONGEST: Final = 4096
_UNDECODED: Final = "\ufffd"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom an object is about and where it belongs, for those who may know.

    Attributes:
        patient_id: Patient ID.
        issuer: Issuer of Patient ID.
        patient_name: Patient's Name.
        birth_date: Patient's Birth Date, as sent.
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
    """

    patient_id: str
    issuer: str
    patient_name: str
    birth_date: str
    study_uid: str
    series_uid: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands in the header of one object.

    Attributes:
        sop_class_uid: SOP Class UID.
        sop_instance_uid: SOP Instance UID.
        patient_key: See ``pseudonyms.patient_key``.
        identity: Of the patient, the study and the series.
        encodings: Python encodings of its text.
        names: Every person's name, at any depth.
        numbers: Identifiers and addresses, at any depth.
        undecoded: Those among them whose bytes are not of their character set, as they stand.
        uids: UIDs of study, series, instance and frame of reference.
        dates: The birth date, as sent.
        values: Other texts that decide about risk, by tag.
    """

    sop_class_uid: str
    sop_instance_uid: str
    patient_key: str
    identity: Identity
    encodings: tuple[str, ...]
    names: tuple[str, ...]
    numbers: tuple[str, ...]
    undecoded: tuple[bytes, ...]
    uids: tuple[str, ...]
    dates: tuple[str, ...]
    values: dict[int, str]

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Names and numbers."""
        return self.names + self.numbers


def read_facts(
    layout: Layout, places: Sequence[Place], wanted: Sequence[int], syntax: TransferSyntax
) -> Facts:
    """Read the facts of an object.

    Args:
        layout: Of its data set.
        places: Of its elements.
        wanted: Tags of other texts to read.
        syntax: Its transfer syntax.

    Raises:
        DicomError: A sequence breaks the encoding rules.
    """
    view = layout.view
    tags, people_tags = _looked_at(tuple(wanted))
    looked_at = [place for place in places if place.tag in people_tags or place.vr == "PN"]
    found = {place.tag: place for place in looked_at if place.tag in tags}
    terms = found.get(CHARACTER_SET)
    encodings = charset.encodings_of(bytes(view[terms.value : terms.stop]) if terms else b"")
    texts = {tag: _text(view, place, encodings) for tag, place in found.items()}
    study = texts.get(STUDY_INSTANCE, "")
    people = [identifier(view, place) for place in looked_at if is_identifier(place)]
    people += nested_identifiers(layout, places, syntax)
    decoded = [(one, _decoded(one.value, encodings)) for one in people]
    return Facts(
        sop_class_uid=texts.get(SOP_CLASS, ""),
        sop_instance_uid=texts.get(SOP_INSTANCE, ""),
        patient_key=patient_key(texts.get(_PATIENT_ID, ""), texts.get(_ISSUER, ""), study),
        identity=_identity(texts),
        encodings=encodings,
        names=_distinct(text for one, text in decoded if one.is_name),
        numbers=_distinct(text for one, text in decoded if not one.is_name),
        undecoded=tuple(dict.fromkeys(one.value for one, text in decoded if _UNDECODED in text)),
        uids=_present(texts, _UIDS),
        dates=tuple(date for date in _present(texts, _DATES) if date not in OWN_WORDS),
        values={tag: texts[tag] for tag in wanted if tag in texts},
    )


_READ: Final = (
    _UIDS | _DATES | {CHARACTER_SET, SOP_CLASS, _PATIENT_NAME, _PATIENT_ID, _ISSUER, STUDY_INSTANCE}
)


@lru_cache(maxsize=8)
def _looked_at(wanted: tuple[int, ...]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the tags that are read, and all tags that are looked at."""
    tags = _READ | frozenset(wanted)
    return tags, tags | PERSONS | NUMBERS


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Return each text once, without what an earlier pass put there instead of an identifier."""
    return tuple(dict.fromkeys(text for text in texts if text and text not in OWN_WORDS))


def _identity(texts: dict[int, str]) -> Identity:
    return Identity(
        patient_id=texts.get(_PATIENT_ID, ""),
        issuer=texts.get(_ISSUER, ""),
        patient_name=texts.get(_PATIENT_NAME, ""),
        birth_date=texts.get(_BIRTH_DATE, ""),
        study_uid=texts.get(STUDY_INSTANCE, ""),
        series_uid=texts.get(_SERIES_INSTANCE, ""),
    )


def _present(texts: dict[int, str], tags: Iterable[int]) -> tuple[str, ...]:
    return tuple(texts[tag] for tag in sorted(tags) if texts.get(tag))


def _text(view: memoryview, place: Place, encodings: tuple[str, ...]) -> str:
    return _decoded(bytes(view[place.value : min(place.stop, place.value + _LONGEST)]), encodings)


def _decoded(value: bytes, encodings: tuple[str, ...]) -> str:
    return charset.clean(charset.decode(value, encodings), _LONGEST)

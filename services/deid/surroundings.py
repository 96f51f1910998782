"""What stands around an attribute, where that decides what is done with it.

The table speaks of attributes wherever they stand. A content item of a structured report is known
by its concept (PS3.3 C.17.3), an annotation by its shape (PS3.3 C.10.5), and what stands in a
sequence that is replaced is replaced with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from services.deid.profile.options import Option
from services.deid.profile.treatment import Treatment
from services.dicom.encoding import dictionary_vr

CONTENT_SEQUENCE: Final = 0x0040A730
CONCEPT_NAME: Final = 0x0040A043
CONCEPT_CODE: Final = 0x0040A168
MEASURED_VALUE: Final = 0x0040A300
NUMERIC_VALUE: Final = 0x0040A30A
TEXT_VALUE: Final = 0x0040A160
DATE_VALUES: Final = (0x0040A120, 0x0040A121, 0x0040A122)
GRAPHIC_ANNOTATION: Final = 0x00700001
TEXT_OBJECT: Final = 0x00700008
GRAPHIC_OBJECT: Final = 0x00700009
UNFORMATTED_TEXT: Final = 0x00700006
CODE_VALUE: Final = 0x00080100
SCHEME: Final = 0x00080102
CODE_MEANING: Final = 0x00080104
_WAVEFORM_ANNOTATION: Final = 0x0040B020
_ACQUISITION_CONTEXT: Final = 0x00400555
_SPECIMEN_PREPARATION: Final = 0x00400610
_COMPOUND_GRAPHIC: Final = 0x00700209


class Around(Enum):
    """What stands around."""

    NOTHING = auto()
    """Nothing that matters: the table decides."""
    REPLACED = auto()
    """A sequence of which every value is replaced."""
    CONTENT = auto()
    """A content item."""
    DEVICE = auto()
    """A content item that names the device, which is retained."""
    BIRTH_DATE = auto()
    """A content item that is the patient's birth date."""
    AGE = auto()
    """A content item that is the patient's age, which is retained below 90."""
    SEX = auto()
    """A content item that is the patient's sex."""
    CHARACTERISTIC = auto()
    """A content item that measures the patient and is not retained."""
    GRAPHICS = auto()
    """An annotation of a presentation state."""
    FOREIGN_CODE = auto()
    """A code of a scheme that nobody registered: its meaning may be any text."""


_OF_SEQUENCE: Final[Mapping[int, Around]] = {
    CONTENT_SEQUENCE: Around.CONTENT,
    _WAVEFORM_ANNOTATION: Around.CONTENT,
    _ACQUISITION_CONTEXT: Around.CONTENT,
    _SPECIMEN_PREPARATION: Around.CONTENT,
    GRAPHIC_ANNOTATION: Around.GRAPHICS,
}
# PS3.16 TID 1004, 1007, 3602: observer and subject context.
_DEVICE_CONCEPTS: Final = frozenset({"121013", "121014", "121015", "121016"})
_BIRTH_CONCEPTS: Final = frozenset({"121031", "21112-8"})
_AGE_CONCEPTS: Final = frozenset({"121033", "30525-0", "424144002", "397669002"})
_SEX_CONCEPTS: Final = frozenset({"121032", "46098-0", "57312000"})
_MEASURED_CONCEPTS: Final = frozenset({"8302-2", "29463-7", "3137-7", "3141-9", "8277-6"})
_TEXT_VRS: Final = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_REPLACEABLE: Final = frozenset({Treatment.KEEP, Treatment.NAME, Treatment.CLEAN})


def around_items(tag: int, treatment: Treatment, around: Around) -> Around:
    """Return what stands around the items of a sequence.

    Args:
        tag: Of the sequence.
        treatment: Of it.
        around: What stands around it.
    """
    own = _OF_SEQUENCE.get(tag)
    if around is Around.REPLACED or (treatment is Treatment.DUMMY and own is None):
        return Around.REPLACED
    return own or around


def around_content(concept: str, options: frozenset[Option]) -> Around:
    """Return what a content item of a concept is around its values.

    Args:
        concept: Code Value of its Concept Name Code Sequence.
        options: Of the profile.
    """
    retained = Option.RETAIN_PATIENT_CHARACTERISTICS in options
    if concept in _DEVICE_CONCEPTS and Option.RETAIN_DEVICE_IDENTITY in options:
        return Around.DEVICE
    if concept in _BIRTH_CONCEPTS:
        return Around.BIRTH_DATE
    if concept in _AGE_CONCEPTS:
        return Around.AGE if retained else Around.CHARACTERISTIC
    if concept in _SEX_CONCEPTS and not retained:
        return Around.SEX
    if concept in _MEASURED_CONCEPTS and not retained:
        return Around.CHARACTERISTIC
    return Around.CONTENT


def is_foreign(scheme: str) -> bool:
    """Tell whether nobody registered a coding scheme (PS3.16 section 8: 99..., HL7: L)."""
    return scheme.startswith("99") or scheme in ("L", "")


def treatment_in(
    around: Around, tag: int, treatment: Treatment, options: frozenset[Option]
) -> Treatment:
    """Return what is done with an attribute where it stands.

    Args:
        around: What stands around it.
        tag: Of the attribute.
        treatment: What the table says of it.
        options: Of the profile.
    """
    if around is Around.NOTHING:
        return treatment
    if around is Around.REPLACED:
        replaced = treatment in _REPLACEABLE and dictionary_vr(tag) in _TEXT_VRS
        return Treatment.DUMMY if replaced else treatment
    if around is Around.GRAPHICS:
        return _of_graphics(tag, treatment, options)
    if tag == TEXT_VALUE:
        return _of_text(around, options)
    if tag in DATE_VALUES and around is Around.BIRTH_DATE:
        return Treatment.DUMMY
    return _OF_CONTENT.get((around, tag), treatment)


_OF_CONTENT: Final[Mapping[tuple[Around, int], Treatment]] = {
    (Around.FOREIGN_CODE, CODE_MEANING): Treatment.CLEAN_OR_DUMMY,
    (Around.CHARACTERISTIC, MEASURED_VALUE): Treatment.EMPTY,
    (Around.AGE, NUMERIC_VALUE): Treatment.AGE,
}


def _of_text(around: Around, options: frozenset[Option]) -> Treatment:
    if around is Around.DEVICE:
        return Treatment.NAME
    cleans = Option.CLEAN_STRUCTURED_CONTENT in options
    return Treatment.CLEAN_OR_DUMMY if cleans else Treatment.DUMMY


def _of_graphics(tag: int, treatment: Treatment, options: frozenset[Option]) -> Treatment:
    if tag == _COMPOUND_GRAPHIC:
        return Treatment.REMOVE
    if tag == UNFORMATTED_TEXT and Option.CLEAN_GRAPHICS in options:
        return Treatment.CLEAN_OR_DUMMY
    return treatment

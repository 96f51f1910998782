"""The options of the Basic Application Level Confidentiality Profile (PS3.15 Annex E.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

_BASIC: Final = ("113100", "Basic Application Confidentiality Profile")


class Option(Enum):
    """An option: its name, and its code in CID 7050 with meaning (PS3.16)."""

    CLEAN_PIXEL_DATA = ("clean_pixel_data", "113101", "Clean Pixel Data Option")
    CLEAN_FACES = (
        "clean_recognizable_visual_features",
        "113102",
        "Clean Recognizable Visual Features Option",
    )
    CLEAN_GRAPHICS = ("clean_graphics", "113103", "Clean Graphics Option")
    CLEAN_STRUCTURED_CONTENT = (
        "clean_structured_content",
        "113104",
        "Clean Structured Content Option",
    )
    CLEAN_DESCRIPTORS = ("clean_descriptors", "113105", "Clean Descriptors Option")
    RETAIN_FULL_DATES = (
        "retain_full_dates",
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
    )
    RETAIN_MODIFIED_DATES = (
        "retain_modified_dates",
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    )
    RETAIN_PATIENT_CHARACTERISTICS = (
        "retain_patient_characteristics",
        "113108",
        "Retain Patient Characteristics Option",
    )
    RETAIN_DEVICE_IDENTITY = ("retain_device_identity", "113109", "Retain Device Identity Option")
    RETAIN_UIDS = ("retain_uids", "113110", "Retain UIDs Option")
    RETAIN_SAFE_PRIVATE = ("retain_safe_private", "113111", "Retain Safe Private Option")
    RETAIN_INSTITUTION_IDENTITY = (
        "retain_institution_identity",
        "113112",
        "Retain Institution Identity Option",
    )

    def __init__(self, label: str, code: str, meaning: str) -> None:
        self.label = label
        self.code = code
        self.meaning = meaning


_BY_LABEL: Final[Mapping[str, Option]] = MappingProxyType({one.label: one for one in Option})

PRESETS: Final[Mapping[str, frozenset[Option]]] = MappingProxyType(
    {
        "basic": frozenset(),
        "research": frozenset(
            {
                Option.RETAIN_MODIFIED_DATES,
                Option.RETAIN_DEVICE_IDENTITY,
                Option.RETAIN_PATIENT_CHARACTERISTICS,
                Option.RETAIN_SAFE_PRIVATE,
                Option.CLEAN_DESCRIPTORS,
            }
        ),
        "external-model": frozenset({Option.CLEAN_PIXEL_DATA}),
    }
)
"""Sets of options under a name; ``external-model`` is for what goes to a language or vision model,
and keeps nothing that an option could keep."""


class UnknownOptionError(Exception):
    """There is no option, or no preset, of that name.

    Attributes:
        known: The names there are.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self.known = tuple(sorted(known))
        super().__init__(f"must be one of {', '.join(self.known)}")


class ContradictingOptionsError(Exception):
    """Two options that cannot hold together (PS3.15 E.3.6)."""

    def __init__(self) -> None:
        super().__init__("dates are kept either as they are or shifted, not both")


def option(label: str) -> Option:
    """Return the option of a name such as "retain_uids"; '-' may stand for '_'.

    Raises:
        UnknownOptionError: There is none.
    """
    found = _BY_LABEL.get(label.strip().lower().replace("-", "_"))
    if found is None:
        raise UnknownOptionError(_BY_LABEL)
    return found


def options_of(preset: str, more: Iterable[str] = ()) -> frozenset[Option]:
    """Return the options of a preset, with more by name.

    Raises:
        UnknownOptionError: There is no such preset or option.
        ContradictingOptionsError: They cannot hold together.
    """
    if preset not in PRESETS:
        raise UnknownOptionError(PRESETS)
    return checked(PRESETS[preset] | {option(label) for label in more})


def checked(options: Iterable[Option]) -> frozenset[Option]:
    """Return options that can hold together.

    Raises:
        ContradictingOptionsError: They cannot.
    """
    chosen = frozenset(options)
    if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= chosen:
        raise ContradictingOptionsError
    return chosen


def method_codes(options: Iterable[Option]) -> tuple[tuple[str, str], ...]:
    """Return code and meaning of the profile and of each option, by code (PS3.16 CID 7050)."""
    return (_BASIC, *sorted((one.code, one.meaning) for one in options))

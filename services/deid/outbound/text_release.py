"""Texts on their way outside: cleaned, looked at again, or refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.deid.outbound.ages import age_band
from services.deid.outbound.cleaning import Cleaned, cleaned
from services.deid.outbound.known import Known
from services.deid.outbound.residual import what_is_left
from services.deid.outbound.vocabulary import allowed_words

MAX_FIELDS: Final = 200
MAX_CHARS: Final = 20_000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NEGATION: Final = "without a word of the patient's name it would say the opposite"
_NAMED: Final = "the name of the field holds what is known of the patient"


class TextRefusedError(Exception):
    """A text stays inside.

    Attributes:
        field: Its name; "" where the name itself must not leave.
        rule: What it did not pass, without a value.
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}" if field else rule)
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Field:
    """A text and what it is called."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ReleasedText:
    """What may leave.

    Attributes:
        fields: The texts, cleaned, in the order given.
        age_band: See ``age_band``.
        removed_count: Number of words that were taken out.
    """

    fields: tuple[Field, ...]
    age_band: str
    removed_count: int


def is_field_name(name: str) -> bool:
    """Tell whether a name is one of a field: lower case, digits and "_", at most 64."""
    return _NAME.fullmatch(name) is not None


def release_text(fields: Sequence[Field], known: Known, age_years: int) -> ReleasedText:
    """Return texts that identify nobody.

    Args:
        fields: The texts.
        known: Of the patient.
        age_years: Negative for an unknown one.

    Raises:
        TextRefusedError: One cannot be proved clean, or would say something else.
    """
    found = [_released(field, known) for field in fields]
    released = tuple(Field(field.name, one.text) for field, one in zip(fields, found, strict=True))
    return ReleasedText(released, age_band(age_years), sum(one.removed_count for one in found))


def _released(field: Field, known: Known) -> Cleaned:
    pieces = field.name.split("_")
    if any(piece in known.words and piece not in allowed_words() for piece in pieces):
        raise TextRefusedError("", _NAMED)
    found = cleaned(field.text, known)
    if found.is_negated_less:
        raise TextRefusedError(field.name, _NEGATION)
    rule = what_is_left(found.text, known)
    if rule:
        raise TextRefusedError(field.name, rule)
    return found

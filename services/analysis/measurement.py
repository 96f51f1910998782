"""What is measured, or why it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

MILLILITRE: Final = "mL"
HOUNSFIELD: Final = "[hnsf'U]"
"""UCUM, case sensitive."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number with its unit.

    Attributes:
        number: Always finite.
        unit_ucum: Unit in UCUM case-sensitive form.

    Raises:
        ValueError: The number is not finite.
    """

    number: float
    unit_ucum: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.number):
            raise ValueError("a value is finite")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no number.

    Attributes:
        code: Stable, upper snake case.
        text: One sentence a radiographer understands, without patient data.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact that speaks for or against an outcome."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """One quantity of one structure.

    Attributes:
        name: Stable, "structure.quantity".
        display_name: For people.
        structure: Structure it belongs to.
        outcome: A number or the reason why there is none.
        evidence: How it came about.
    """

    name: str
    display_name: str
    structure: str
    outcome: Value | Refusal
    evidence: tuple[Evidence, ...]

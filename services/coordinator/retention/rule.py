"""What is deleted by itself, without transport or database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

MAX_AGE_DAYS: Final = 36_500
MAX_MODALITIES: Final = 32
_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")
_MODALITY: Final = re.compile(r"[A-Z0-9_ ]{1,16}")


def is_rule_name(text: str) -> bool:
    """Return whether a rule may bear this name."""
    return _NAME.fullmatch(text) is not None


class AgeBasis(StrEnum):
    """From when the age of a study counts."""

    RECEIVED = "received"
    STUDY_DATE = "study_date"


class RuleError(ValueError):
    """A rule breaks the rules for rules.

    Attributes:
        field: The field at fault.
        rule: What it has to be.
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(field)
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Rule:
    """Deletes studies that are ready, old enough and not held.

    Attributes:
        name: Unique.
        modalities: All modalities of the study are among these; empty means any.
        age_basis: From when the age counts.
        age_days: Age from which a study goes, in days.
        enabled: Whether the rule is applied.

    Raises:
        RuleError: A field does not have the form the contract says.
    """

    name: str
    modalities: tuple[str, ...]
    age_basis: AgeBasis
    age_days: int
    enabled: bool

    def __post_init__(self) -> None:
        if not is_rule_name(self.name):
            raise RuleError("rule.name", "1 to 64 of a-z, 0-9, '-', '_'")
        if not 1 <= self.age_days <= MAX_AGE_DAYS:
            raise RuleError("rule.age_days", f"1 to {MAX_AGE_DAYS}")
        if len(self.modalities) > MAX_MODALITIES:
            raise RuleError("rule.modalities", f"at most {MAX_MODALITIES}")
        if not all(map(_MODALITY.fullmatch, self.modalities)):
            raise RuleError("rule.modalities", "code strings such as CT (PS3.3 C.7.3.1.1.1)")


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """A rule with what it did."""

    rule: Rule
    update_time: datetime
    apply_time: datetime | None
    deleted_count: int


@dataclass(frozen=True, slots=True)
class RuleReach:
    """What a rule would delete now.

    Attributes:
        held_count: Studies that are old enough and stay because somebody holds them.
    """

    study_count: int
    instance_count: int
    size_bytes: int
    held_count: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Keeps one study from being deleted."""

    study_id: str
    reason: str
    subject: str
    create_time: datetime

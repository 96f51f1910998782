"""Projects: who gets pseudonyms under one key, and what is taken out for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

NAME: Final = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
MAX_DESCRIPTION: Final = 1000
MAX_RULES: Final = 1000
MAX_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    Attributes:
        name: Unique; never changed.
        profile: ``heimdallr.deid.v1.Profile``, serialized, with the project's rules.
        profile_key: Changes with what the profile does, not with the reasons of its rules.
        two_persons: Whether another person must agree before a pseudonym is opened.
        key_id: Id of its key; empty until the first object was de-identified.
        key_version: Newest version of its key that is known here; 0 until then.
    """

    project_id: str
    name: str
    description: str
    profile: bytes
    profile_key: str
    two_persons: bool
    key_id: str
    key_version: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class ProjectSpec:
    """What a person says of a project."""

    name: str
    description: str
    profile: bytes
    profile_key: str
    two_persons: bool


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """How far a project's work has come.

    Attributes:
        released_count: Objects released, by rules or by a person.
        held_by_code: Objects that a finding of a code holds, most first.
    """

    patient_count: int
    study_count: int
    released_count: int
    held_count: int
    approved_count: int
    rejected_count: int
    held_by_code: Mapping[str, int] = field(default_factory=dict)

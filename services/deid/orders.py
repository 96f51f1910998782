"""How the objects of one call are treated, in a form that goes to another process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from services.deid.deidentify import Deidentifier
from services.deid.profile.options import Option, option
from services.deid.profile.rules import Rule, RuleAction
from services.deid.project_key import ProjectKey, as_text, from_text
from services.deid.pseudonyms import Pseudonyms


@dataclass(frozen=True)
class Orders:
    """What is done with every object of a call.

    Attributes:
        project_id: Our id of the project.
        key: Of the project; it has every version that `key_versions` names.
        options: Of the profile.
        rules: The project's own.
        key_versions: Version by which a patient is known, by the patient's tag; the newest for
            one who is not listed.
        for_all: Version that counts for every patient; 0 for that of each.
    """

    project_id: str
    key: ProjectKey
    options: frozenset[Option]
    rules: tuple[Rule, ...]
    key_versions: Mapping[str, int]
    for_all: int = 0

    @cached_property
    def as_json(self) -> dict[str, Any]:
        """The orders, secrets included, for a pipe and nowhere else."""
        return {
            "project_id": self.project_id,
            "key": as_text(self.key),
            "options": sorted(one.label for one in self.options),
            "rules": [[one.tag, one.action.name, one.reason] for one in self.rules],
            "key_versions": dict(self.key_versions),
            "for_all": self.for_all,
        }

    @cached_property
    def digest(self) -> str:
        """What is the same for the same orders alone; it does not leave the machine."""
        text = json.dumps(self.as_json, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Orders:
        """Return the orders that `as_json` gave."""
        return cls(
            given["project_id"],
            from_text(given["key"].encode()),
            frozenset(option(label) for label in given["options"]),
            tuple(Rule(tag, RuleAction[action], why) for tag, action, why in given["rules"]),
            given["key_versions"],
            given["for_all"],
        )

    def version_of(self, patient_key: str) -> int:
        """Return by which version of the key a patient is known."""
        newest = self.key.newest.number
        return self.for_all or self.key_versions.get(self.key.tag(patient_key), newest)

    def pseudonyms_of(self, patient_key: str) -> Pseudonyms:
        """Return the pseudonyms under which a patient is known."""
        return self.key.pseudonyms(self.version_of(patient_key))

    def deidentifier(self) -> Deidentifier:
        """Return what treats objects so."""
        return Deidentifier(self.options, self.pseudonyms_of, rules=self.rules)

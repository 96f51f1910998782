"""Why an attribute is treated as it is, in words for who reviews it."""

from __future__ import annotations

from typing import Final

from services.deid.profile.rules import RuleAction
from services.deid.profile.table import EDITION, Row, row_of
from services.deid.profile.treatment import Profile, Treatment

_TABLE: Final = f"PS3.15 Table E.1-1 ({EDITION})"
_RULES: Final = {
    RuleAction.REMOVE: "Project's own rule: remove",
    RuleAction.EMPTY: "Project's own rule: empty",
    RuleAction.CLEAN: "Project's own rule: clean",
}
_CODES: Final = {
    Treatment.UID: "U",
    Treatment.PATIENT: "D",
    Treatment.DUMMY: "D",
    Treatment.EMPTY: "Z",
    Treatment.REMOVE: "X",
}


def action_of(treatment: Treatment, *, removed: bool, emptied: bool) -> str:
    """Return the action code of PS3.15 E.1 that says what became of an attribute."""
    if removed:
        return "X"
    if emptied:
        return "Z"
    # What stays in part, or moved, was cleaned.
    return _CODES.get(treatment, "C")


def rule_of(profile: Profile, tag: int, treatment: Treatment) -> str:
    """Return which rule decided about an attribute."""
    action = profile.rules.get(tag)
    if action is not None:
        return _RULES[action]
    if tag >> 16 & 1:
        return f"{_TABLE}: private attributes go unless they are known to be safe (E.3.10)"
    row = row_of(tag)
    if row is not None:
        return f"{_TABLE}: {_entry(profile, row)}"
    if treatment is Treatment.REMOVE:
        return "Not in the table: nothing proves that it is safe"
    return "Not in the table: only what proves to identify nobody stays"


def _entry(profile: Profile, row: Row) -> str:
    options = [
        f"{one.meaning}: {code}"
        for one, code in sorted(row.options.items(), key=lambda entry: entry[0].code)
        if one in profile.options
    ]
    return "; ".join(options) if options else f"Basic Profile: {row.basic}"

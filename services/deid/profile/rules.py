"""A project's own rules: they take away more than the profile does, never less."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_NEEDED: Final = frozenset(
    {
        0x00080016,  # SOP Class UID
        0x00080018,  # SOP Instance UID
        0x0020000D,  # Study Instance UID
        0x0020000E,  # Series Instance UID
        0x00100010,  # what stands there is the pseudonym
        0x00100020,
        0x00080005,  # Specific Character Set: the rest would be read wrongly
        0x00120062,  # what says how the object was de-identified
        0x00120063,
        0x00120064,
        0x00280303,
    }
)


class RuleAction(Enum):
    """What a rule does."""

    REMOVE = auto()
    EMPTY = auto()
    CLEAN = auto()


class InvalidRuleError(Exception):
    """A rule that cannot be followed; the text says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a project does with one attribute.

    Attributes:
        tag: Of the attribute, at every depth.
        action: What is done.
        reason: Why, for those who come after.
    """

    tag: int
    action: RuleAction
    reason: str = ""


def rule(tag: str, action: RuleAction, reason: str = "") -> Rule:
    """Return a rule for a tag of eight hexadecimal digits.

    Raises:
        InvalidRuleError: It is no tag, or of what no object can do without.
    """
    if not _TAG.fullmatch(tag):
        raise InvalidRuleError("a tag is eight hexadecimal digits")
    number = int(tag, 16)
    if number >> 16 < 0x0008 or number in _NEEDED:
        raise InvalidRuleError("no object can do without this attribute")
    return Rule(number, action, reason)


def by_tag(rules: Iterable[Rule]) -> Mapping[int, RuleAction]:
    """Return the action that counts for each tag: that of the last rule."""
    return {one.tag: one.action for one in rules}

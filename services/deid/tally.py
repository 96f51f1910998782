"""Counts what was done to the elements of an object, without any of their values."""

from __future__ import annotations

from collections import Counter

from services.deid.profile.reasons import action_of
from services.deid.rewrite import Step


class Tally:
    """Watches a rewriter and counts by action code of PS3.15 E.1; "K" is what stayed.

    Attributes:
        actions: Number of elements by code.
    """

    def __init__(self) -> None:
        self.actions: Counter[str] = Counter()

    def note(self, step: Step) -> None:
        """Count one element. See ``rewrite.Observer``."""
        self.actions[_code(step)] += 1


def _code(step: Step) -> str:
    if not step.changed:
        return "K"
    return action_of(step.treatment, removed=not step.element, emptied=_is_empty(step))


def _is_empty(step: Step) -> bool:
    """Tell whether a header is all that was written: its last bytes are a length of zero."""
    return len(step.element) in (8, 12) and not any(bytes(step.element[-2:]))

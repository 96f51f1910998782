"""When a study is called complete, without transport or database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class CompletenessRules:
    """Evidence that is waited for.

    Attributes:
        quiet_after: Nothing came for this long (evidence D).
        released_after: Every association was released and nothing came for this long (C).
    """

    quiet_after: timedelta = timedelta(seconds=60)
    released_after: timedelta = timedelta(seconds=2)

"""When a study is called complete, without transport or database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.coordinator.archive.study import Evidence

_STRENGTH: Final = {
    Evidence.MANIFEST: 4,
    Evidence.COUNT: 3,
    Evidence.PERSON: 2,
    Evidence.RELEASED: 1,
    Evidence.QUIET: 0,
}


@dataclass(frozen=True, slots=True)
class CompletenessRules:
    """Evidence that is waited for.

    Attributes:
        quiet_after: Nothing came for this long (evidence D).
        released_after: Every association was released and nothing came for this long (C).
        announced_after: Nothing came for this long, although more was announced: the study goes
            on with what is there.
    """

    quiet_after: timedelta = timedelta(seconds=60)
    released_after: timedelta = timedelta(seconds=2)
    announced_after: timedelta = timedelta(seconds=600)


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a study is arriving, and what was said of it.

    Attributes:
        quiet_s: Seconds since its last instance came.
        open_count: Associations that may bring more.
        all_released: Whether every association of this generation was released in order.
        instance_count: Instances that are here.
        announced_count: Instances that manifests announce.
        present_count: How many of those are here.
        open_step_count: Procedure steps that a modality began and has not finished.
        source_count: Largest number that a source confirmed last; zero when none did.
    """

    quiet_s: float
    open_count: int
    all_released: bool
    instance_count: int = 0
    announced_count: int = 0
    present_count: int = 0
    open_step_count: int = 0
    source_count: int = 0

    @property
    def short_of_manifest(self) -> bool:
        """Whether announced instances are missing."""
        return self.present_count < self.announced_count

    @property
    def short_of_source(self) -> bool:
        """Whether a source has more."""
        return self.instance_count < self.source_count

    @property
    def more_announced(self) -> bool:
        """Whether somebody said that more will come."""
        return self.short_of_manifest or self.short_of_source or self.open_step_count > 0

    @property
    def known_evidence(self) -> Evidence | None:
        """What was said of it and is there: stronger evidence than any silence."""
        if self.open_step_count or self.short_of_manifest:
            return None
        if self.announced_count:
            return Evidence.MANIFEST
        return Evidence.COUNT if self.source_count == self.instance_count > 0 else None


def judge(arrival: Arrival, rules: CompletenessRules) -> Evidence | None:
    """Return how it is known that a study that is arriving is complete; None while it is not."""
    quiet = timedelta(seconds=arrival.quiet_s)
    known = arrival.known_evidence
    if known is Evidence.MANIFEST and (not arrival.open_count or quiet >= rules.released_after):
        return known
    if known is Evidence.COUNT and quiet >= rules.released_after:
        return known
    if quiet < quiet_needed(arrival, rules):
        return None
    return Evidence.RELEASED if _released(arrival) else Evidence.QUIET


def quiet_needed(arrival: Arrival, rules: CompletenessRules) -> timedelta:
    """Return how long nothing must come before a study is called complete."""
    if arrival.known_evidence is not None or _released(arrival):
        return rules.released_after
    if arrival.more_announced:
        return max(rules.announced_after, rules.quiet_after)
    return rules.quiet_after


def is_stronger(evidence: Evidence, than: Evidence | None) -> bool:
    """Return whether one evidence says more than another."""
    return than is None or _STRENGTH[evidence] > _STRENGTH[than]


def _released(arrival: Arrival) -> bool:
    return arrival.all_released and not arrival.more_announced

"""What a study waits for, in sentences, without transport or database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from services.coordinator.workflow.completeness import (
    Arrival,
    CompletenessRules,
    quiet_needed,
)
from services.coordinator.workflow.stages import Stage, StageState

MANY_AHEAD: Final = 1000
"""Counting the queue ends here."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing a study waits for.

    Attributes:
        code: Stable code.
        text: A sentence.
        remaining_s: Seconds until it ends by itself; None when it does not.
        total_s: How long it lasts in all.
        count: What is there, of what is counted.
        wanted_count: How many are waited for; zero for what is not counted.
    """

    code: str
    text: str
    remaining_s: float | None = None
    total_s: float | None = None
    count: int = 0
    wanted_count: int = 0


def arrival_waits(arrival: Arrival, rules: CompletenessRules) -> list[Wait]:
    """Return what a study that is arriving waits for."""
    waits = _announced_waits(arrival)
    needed_s = quiet_needed(arrival, rules).total_seconds()
    quiet_s = min(max(arrival.quiet_s, 0.0), needed_s)
    text = f"Quiet for {quiet_s:.0f} s of {needed_s:.0f} s"
    waits.append(Wait("QUIET", text, needed_s - quiet_s, needed_s))
    if arrival.open_count == 1:
        waits.append(Wait("ASSOCIATION_OPEN", "1 association is still open"))
    elif arrival.open_count:
        text = f"{arrival.open_count} associations are still open"
        waits.append(Wait("ASSOCIATION_OPEN", text))
    return waits


def _announced_waits(arrival: Arrival) -> list[Wait]:
    waits = []
    if arrival.short_of_manifest:
        present, announced = arrival.present_count, arrival.announced_count
        text = f"{present} of {announced} announced instances are here"
        waits.append(Wait("ANNOUNCED", text, count=present, wanted_count=announced))
    if arrival.short_of_source:
        present, source = arrival.instance_count, arrival.source_count
        text = f"{present} of {source} instances that the source has are here"
        waits.append(Wait("SOURCE_COUNT", text, count=present, wanted_count=source))
    if arrival.open_step_count:
        count = arrival.open_step_count
        are = "procedure step is" if count == 1 else "procedure steps are"
        waits.append(Wait("PROCEDURE_STEP", f"{count} {are} still in progress", count=count))
    return waits


def stage_waits(stages: Sequence[Stage], ahead: int | None, now: datetime) -> list[Wait]:
    """Return what the stages of a study wait for.

    Args:
        stages: Stages of the latest generation.
        ahead: Queued stages of any study that come before the first one of this study; None when
            none of its stages is queued.
        now: Time by the database's clock.
    """
    waits = [
        Wait("PERSON", f"Needs a person: {stage.reason_text}")
        for stage in stages
        if stage.state is StageState.HELD
    ]
    waits += [_retry(stage, now) for stage in stages if is_postponed(stage, now)]
    if ahead is not None and not any(stage.state is StageState.RUNNING for stage in stages):
        count = f"more than {MANY_AHEAD - 1}" if ahead >= MANY_AHEAD else str(ahead)
        waits.append(Wait("QUEUE", f"Waits for its turn ({count} before it)"))
    return list(dict.fromkeys(waits))


def is_postponed(stage: Stage, now: datetime) -> bool:
    """Return whether a stage waits until it is tried again."""
    return (
        stage.state is StageState.PENDING
        and stage.next_attempt_time is not None
        and stage.next_attempt_time > now
    )


def is_queued(stage: Stage, now: datetime) -> bool:
    """Return whether a stage waits for its turn."""
    return stage.state is StageState.PENDING and stage.queued and not is_postponed(stage, now)


def first_queued(stages: Sequence[Stage], now: datetime) -> Stage | None:
    """Return the stage whose turn comes first; None when none waits for its turn."""
    queued = [stage for stage in stages if is_queued(stage, now) and stage.queue_time is not None]
    return min(queued, key=lambda stage: (-stage.rank, stage.queue_time or now), default=None)


def _retry(stage: Stage, now: datetime) -> Wait:
    seconds = ceil(((stage.next_attempt_time or now) - now) / timedelta(seconds=1))
    text = f"Tried again in {seconds} s: {stage.reason_text}"
    return Wait("RETRY", text, remaining_s=float(seconds))

"""Stages and what follows from their states, without transport or database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from services.coordinator.archive.study import StudyState


class StageKind(StrEnum):
    """What a stage does."""

    PLAN = "plan"
    DESCRIBE = "describe"
    CONVERT = "convert"
    ANALYZE = "analyze"
    REPORT = "report"
    DEIDENTIFY = "deidentify"


class StageState(StrEnum):
    """State of a stage, as ``heimdallr.workflow.v1.StageState`` says."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    HELD = "held"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


class Priority(IntEnum):
    """How soon work is taken; the numbers of ``heimdallr.workflow.v1.Priority``."""

    LOW = 1
    ROUTINE = 2
    HIGH = 3
    STAT = 4


SETTLED: Final = frozenset({StageState.DONE, StageState.REFUSED})
_ORDER: Final = {kind: place for place, kind in enumerate(StageKind)}
# Copies for others wait for what a patient of the same priority waits for.
_RANK: Final = _ORDER | {StageKind.DEIDENTIFY: -1}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the work on a study.

    Attributes:
        series_id: None for a stage of the whole study.
        version: Version of the model that the plan knew of, or of what a de-identification was
            asked; empty where there is none.
        settled_state: `DONE` or `REFUSED` as long as the outcome is valid, also once superseded.
        input_key: SHA-256 of what goes in: equal keys give equal results.
        output_key: Hash of what came out.
        turn: A queued job is valid for one turn only.
        queued: Whether a job for this turn is in the queue.
        rank: Place in the queue: higher first, then earlier `queue_time`.
        failure_count: Failures since the stage was made or replayed.
        current_attempt_id: The one attempt whose result is accepted.
    """

    stage_id: str
    study_id: str
    series_id: str | None
    generation: int
    name: str
    version: str
    state: StageState
    settled_state: StageState | None
    input_key: str
    output_key: str
    reason_code: str
    reason_text: str
    correlation_id: str
    priority: int
    turn: int
    queued: bool
    rank: int
    queue_time: datetime | None
    attempt_count: int
    failure_count: int
    current_attempt_id: str | None
    next_attempt_time: datetime | None
    progress_fraction: float | None
    progress_activity: str
    create_time: datetime
    update_time: datetime

    @property
    def kind(self) -> StageKind:
        """What the stage does."""
        return kind_of(self.name)

    @property
    def model(self) -> str:
        """Model of an analysis, project of a de-identification; empty for other stages."""
        return self.name.partition(":")[2]


def analysis_name(model: str) -> str:
    """Return the name of the stage that runs a model, e.g. "analyze:ct_tissue"."""
    return f"{StageKind.ANALYZE}:{model}"


def deidentification_name(project: str) -> str:
    """Return the name of the stage that works for a project, e.g. "deidentify:trial-7"."""
    return f"{StageKind.DEIDENTIFY}:{project}"


def kind_of(name: str) -> StageKind:
    """Return what a stage of this name does.

    Raises:
        ValueError: No stage has such a name.
    """
    return StageKind(name.partition(":")[0])


def order_of(stage: Stage) -> tuple[int, str, str]:
    """Return a key that sorts stages by order of work."""
    return _ORDER[stage.kind], stage.series_id or "", stage.name


def rank_of(name: str, priority: int) -> int:
    """Return the place of a stage in the queue; higher is taken first.

    Within one priority later kinds go first, so that a study is finished before the next is begun;
    de-identification goes last.
    """
    return priority * 10 + _RANK[kind_of(name)]


def is_urgent(priority: int) -> bool:
    """Return whether work of this priority may use the reserved slots."""
    return priority >= Priority.HIGH


def derive_study_state(counts: Mapping[StageState, int], *, begun: bool) -> StudyState:
    """Return the state of a study from the stages of its latest generation.

    Args:
        counts: Number of stages in each state; absent means none.
        begun: Whether any stage was ever attempted.
    """
    if counts.get(StageState.HELD, 0):
        return StudyState.HELD
    waiting = counts.get(StageState.PENDING, 0)
    if waiting or counts.get(StageState.RUNNING, 0):
        return StudyState.PROCESSING if begun else StudyState.COMPLETE
    return StudyState.READY

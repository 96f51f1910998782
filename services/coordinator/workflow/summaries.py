"""The work on many studies in short, with a fixed number of statements."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.coordinator.archive.study import StudyState
from services.coordinator.workflow import messages
from services.coordinator.workflow.arrivals import ArrivingStudy, arriving_studies
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.rows import stage_from_row
from services.coordinator.workflow.stages import (
    Stage,
    StageKind,
    StageState,
    order_of,
)
from services.coordinator.workflow.store import QUERIES
from services.coordinator.workflow.waits import (
    Wait,
    arrival_waits,
    first_queued,
    stage_waits,
)
from services.runtime.postgres import Pool, transaction

_ACTIVITIES: Final[Mapping[StageKind, str]] = {
    StageKind.PLAN: "Planning",
    StageKind.DESCRIBE: "Reading",
    StageKind.CONVERT: "Converting",
    StageKind.ANALYZE: "Analysing",
    StageKind.REPORT: "Writing the report",
    StageKind.DEIDENTIFY: "De-identifying",
}

_Queue = Sequence[tuple[int, datetime]]


class WorkSummaries:
    """Sums up the work on studies.

    Args:
        pool: Pool of the database.
        rules: When a study is complete, for what it waits for.
    """

    def __init__(self, pool: Pool, rules: CompletenessRules) -> None:
        self._pool = pool
        self._rules = rules

    async def of(self, study_ids: Sequence[str]) -> list[pb.StudySummary]:
        """Return the studies that are known, in the order asked."""
        async with transaction(self._pool) as borrowed:
            await borrowed.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            now: datetime = await borrowed.fetchval("SELECT now()")
            studies = await arriving_studies(borrowed, study_ids)
            counts = await borrowed.fetch(QUERIES["latest_counts"], study_ids)
            # Most stages of most studies are done: only the others are looked at one by one.
            moving = [stage_id for row in counts for stage_id in row["moving"]]
            rows = await borrowed.fetch(QUERIES["stages_by_id"], moving) if moving else []
            stages: dict[str, list[Stage]] = {}
            for stage in map(stage_from_row, rows):
                stages.setdefault(stage.study_id, []).append(stage)
            queued = any(first_queued(one, now) for one in stages.values())
            head = await borrowed.fetch(QUERIES["head_of_queue"]) if queued else []
        # Ranks fall along the queue; bisection wants them to rise.
        queue = [(-row["rank"], row["queue_time"]) for row in head]
        found = {study.study_id: study for study in studies}
        summaries = {
            one: self._summary(found[one], stages.get(one, []), queue, now)
            for one in dict.fromkeys(study_ids)
            if one in found
        }
        for row in counts:
            if row["study_id"] in summaries:
                summaries[row["study_id"]].stage_count = row["stages"]
                summaries[row["study_id"]].finished_stage_count = row["settled"]
        return list(summaries.values())

    def _summary(
        self, study: ArrivingStudy, stages: Sequence[Stage], queue: _Queue, now: datetime
    ) -> pb.StudySummary:
        summary = pb.StudySummary(
            study_id=study.study_id,
            state=messages.STUDY_STATES[study.state],
            activity=activity_of(stages),
            priority=pb.Priority.ValueType(study.priority),
        )
        if study.state is StudyState.RECEIVING:
            waits = arrival_waits(study.arrival, self._rules)
        else:
            waits = _stage_waits(stages, queue, now)
        if waits:
            summary.wait.CopyFrom(messages.wait_to_proto(waits[0]))
        return summary


def activity_of(stages: Sequence[Stage]) -> str:
    """Return what runs now, the furthest step of it; empty when nothing runs."""
    running = [stage for stage in stages if stage.state is StageState.RUNNING]
    if not running:
        return ""
    furthest = max(running, key=order_of)
    return furthest.progress_activity or _ACTIVITIES[furthest.kind]


def _stage_waits(stages: Sequence[Stage], queue: _Queue, now: datetime) -> list[Wait]:
    first = first_queued(stages, now)
    ahead = None
    if first is not None and first.queue_time is not None:
        ahead = bisect_left(queue, (-first.rank, first.queue_time))
    return stage_waits(stages, ahead, now)

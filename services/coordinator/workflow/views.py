"""What is read of the work on studies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from services.coordinator.archive.errors import StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import StudyRecord, StudyState
from services.coordinator.workflow import messages
from services.coordinator.workflow.arrivals import ArrivingStudy, arriving_studies
from services.coordinator.workflow.completeness import CompletenessRules
from services.coordinator.workflow.errors import StageNotFoundError
from services.coordinator.workflow.rows import stage_from_row
from services.coordinator.workflow.stages import Stage, StageState, order_of
from services.coordinator.workflow.store import QUERIES
from services.coordinator.workflow.study_results import read_outcome
from services.coordinator.workflow.summaries import WorkSummaries
from services.coordinator.workflow.waits import (
    Wait,
    arrival_waits,
    first_queued,
    stage_waits,
)
from services.runtime.blob_ref import BlobRef
from services.runtime.postgres import Connection, Pool, connection, transaction


class WorkflowViews:
    """Reads stages, plans, results and waits.

    Args:
        pool: Pool of the database.
        archive: Holds the studies.
        rules: When a study is complete, for what it waits for.

    Attributes:
        summaries: The work on many studies in short.
    """

    def __init__(self, pool: Pool, archive: ArchiveStore, rules: CompletenessRules) -> None:
        self._pool = pool
        self._archive = archive
        self._rules = rules
        self.summaries = WorkSummaries(pool, rules)

    async def study_workflow(self, study_id: str) -> pb.StudyWorkflow:
        """Return the work on a study.

        Raises:
            StudyNotFoundError: No such study.
        """
        async with transaction(self._pool) as borrowed:
            await borrowed.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            study = await self._study(borrowed, study_id)
            rows = await borrowed.fetch(QUERIES["stages_of_study"], study_id)
            stages = sorted(map(stage_from_row, rows), key=lambda s: (-s.generation, order_of(s)))
            (arriving,) = await arriving_studies(borrowed, [study_id], settled_too=True)
            waits = await self._waits(borrowed, arriving, stages)
            plan = await borrowed.fetchval(QUERIES["plan_of_study"], study_id, study.generation)
            message = pb.StudyWorkflow(
                study_id=study_id,
                state=messages.STUDY_STATES[study.state],
                generation=study.generation,
                priority=pb.Priority.ValueType(study.priority),
                plan=None if plan is None else pb.Plan.FromString(plan),
                stages=await _with_attempts(borrowed, stages),
                waits=[messages.wait_to_proto(wait) for wait in waits],
                announcement=messages.announcement_to_proto(arriving),
            )
        if study.evidence is not None and study.state is not StudyState.RECEIVING:
            message.evidence = messages.EVIDENCES[study.evidence]
        return message

    async def stage(self, stage_id: str) -> pb.Stage:
        """Return one stage.

        Raises:
            StageNotFoundError: No such stage.
        """
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["stage_by_id"], stage_id)
            if row is None:
                raise StageNotFoundError(stage_id)
            return (await _with_attempts(borrowed, [stage_from_row(row)]))[0]

    async def stages(
        self,
        count: int,
        state: StageState | None,
        study_id: str | None,
        after: tuple[datetime, str] | None,
    ) -> list[Stage]:
        """Return stages over all studies, the latest changed first."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(
                QUERIES["page_of_stages"],
                count,
                state and state.value,
                study_id,
                *(after or (None, None)),
            )
        return [stage_from_row(row) for row in rows]

    async def with_attempts(self, stages: Sequence[Stage]) -> list[pb.Stage]:
        """Return stages with their attempts."""
        async with connection(self._pool) as borrowed:
            return await _with_attempts(borrowed, stages)

    async def results(self, study_id: str) -> pb.GetStudyResultsResponse:
        """Return what was made of a study in its latest planned generation.

        Raises:
            StudyNotFoundError: No such study.
        """
        async with connection(self._pool) as borrowed:
            study = await self._study(borrowed, study_id)
            planned = await borrowed.fetchval(QUERIES["planned_generation"], study_id)
            generation = planned or study.generation
            rows = await borrowed.fetch(QUERIES["results_of_generation"], study_id, generation)
        outcome = read_outcome(rows)
        return pb.GetStudyResultsResponse(
            generation=generation,
            series=[one.to_proto() for one in outcome.series.values()],
            report=outcome.report_to_proto(),
        )

    async def queue(self) -> pb.GetQueueResponse:
        """Return what waits and what runs."""
        async with connection(self._pool) as borrowed:
            stages = await borrowed.fetch(QUERIES["count_stages"])
            studies = await borrowed.fetch(QUERIES["count_studies"])
            oldest = await borrowed.fetchval(QUERIES["oldest_pending"])
        return pb.GetQueueResponse(
            stages=[
                pb.StageCount(
                    state=messages.STAGE_STATES[StageState(row["state"])], count=row["count"]
                )
                for row in stages
            ],
            studies=[
                pb.StudyCount(
                    state=messages.STUDY_STATES[StudyState(row["state"])], count=row["count"]
                )
                for row in studies
            ],
            oldest_pending_time=None if oldest is None else messages.timestamp(oldest),
        )

    async def results_blob_belongs(self, study_id: str, sha256: str) -> BlobRef | None:
        """Return a blob that belongs to a study's results; None when it does not."""
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["result_blob"], study_id, sha256)
        return None if row is None else BlobRef(sha256, row["size_bytes"], row["media_type"])

    async def _study(self, borrowed: Connection, study_id: str) -> StudyRecord:
        study = await self._archive.study_record(study_id, borrowed)
        if study is None:
            raise StudyNotFoundError(study_id)
        return study

    async def _waits(
        self, borrowed: Connection, study: ArrivingStudy, stages: Sequence[Stage]
    ) -> list[Wait]:
        if study.state is StudyState.RECEIVING:
            return arrival_waits(study.arrival, self._rules)
        now: datetime = await borrowed.fetchval("SELECT now()")
        latest = [stage for stage in stages if stage.generation == study.generation]
        return stage_waits(latest, await _ahead(borrowed, latest, now), now)


async def _ahead(borrowed: Connection, stages: Sequence[Stage], now: datetime) -> int | None:
    first = first_queued(stages, now)
    if first is None:
        return None
    count: int = await borrowed.fetchval(QUERIES["stages_ahead"], first.rank, first.queue_time)
    return count


async def _with_attempts(borrowed: Connection, stages: Sequence[Stage]) -> list[pb.Stage]:
    ids = [stage.stage_id for stage in stages]
    attempts = await borrowed.fetch(QUERIES["attempts_of_stages"], ids)
    needs = await borrowed.fetch(QUERIES["dependencies_of_stages"], ids)
    return [
        messages.stage_to_proto(
            stage,
            [row for row in attempts if row["stage_id"] == stage.stage_id],
            [row["depends_on"] for row in needs if row["stage_id"] == stage.stage_id],
        )
        for stage in stages
    ]

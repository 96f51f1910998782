"""What the stages before this one made."""

from __future__ import annotations

from services.coordinator.workflow.stages import Stage
from services.coordinator.workflow.store import QUERIES
from services.coordinator.workflow.study_results import StudyOutcome, read_outcome
from services.runtime.postgres import Pool, connection


async def earlier_outcome(pool: Pool, stage: Stage) -> StudyOutcome:
    """Return what is settled in the generation of a stage."""
    async with connection(pool) as borrowed:
        rows = await borrowed.fetch(
            QUERIES["results_of_generation"], stage.study_id, stage.generation
        )
    return read_outcome(rows)

"""How studies arrive and what was said of them, read from the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.coordinator.archive.study import Evidence, StudyState
from services.coordinator.workflow.completeness import Arrival
from services.coordinator.workflow.store import QUERIES
from services.runtime.postgres import Connection


@dataclass(frozen=True, slots=True)
class ArrivingStudy:
    """A study with how it arrives.

    Attributes:
        last_receive_time: When its last instance came.
        said_time: When something was last said of it; None when nothing was.
    """

    study_id: str
    state: StudyState
    priority: int
    generation: int
    evidence: Evidence | None
    last_receive_time: datetime
    arrival: Arrival
    said_time: datetime | None


async def arriving_studies(
    connection: Connection, study_ids: Sequence[str], *, settled_too: bool = False
) -> list[ArrivingStudy]:
    """Return the studies that are known.

    Args:
        connection: Connection to read with.
        study_ids: Our ids.
        settled_too: Whether manifests of studies that have arrived are looked at too.
    """
    rows = await connection.fetch(QUERIES["arrivals"], list(study_ids), settled_too)
    return [_from_row(row) for row in rows]


def _from_row(row: asyncpg.Record) -> ArrivingStudy:
    return ArrivingStudy(
        study_id=row["study_id"],
        state=StudyState(row["state"]),
        priority=row["priority"],
        generation=row["generation"],
        evidence=Evidence(row["evidence"]) if row["evidence"] else None,
        last_receive_time=row["last_receive_time"],
        arrival=Arrival(
            quiet_s=row["quiet_s"],
            open_count=row["open_count"],
            all_released=row["all_released"],
            instance_count=row["instance_count"],
            announced_count=row["announced_count"],
            present_count=row["present_count"],
            open_step_count=row["open_step_count"],
            source_count=row["source_count"],
        ),
        said_time=row["said_time"],
    )

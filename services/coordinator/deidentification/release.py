"""What of a study may go outside for a project."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from services.coordinator.archive.errors import SeriesNotFoundError, StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import StudyState
from services.coordinator.deidentification.objects import (
    ReleaseCounts,
    ReleasedObject,
    ReleaseState,
    release_state,
)
from services.coordinator.deidentification.project_store import QUERIES, project_of
from services.coordinator.deidentification.rows import released_from_row
from services.coordinator.workflow.stages import StageState, deidentification_name
from services.runtime.postgres import Connection, Pool, connection, transaction

BATCH: Final = 1000
_WORKING: Final = frozenset({StageState.PENDING, StageState.RUNNING})


@dataclass(frozen=True, slots=True)
class Release:
    """How far a study, or series of it, is from going outside."""

    state: ReleaseState
    counts: ReleaseCounts


class Releases:
    """Reads what may go outside.

    Args:
        pool: Pool of the database.
        archive: Holds the studies.
    """

    def __init__(self, pool: Pool, archive: ArchiveStore) -> None:
        self._pool = pool
        self._archive = archive

    async def release(self, project_id: str, study_id: str, series_ids: Sequence[str]) -> Release:
        """Return how far a study is; of all its series when none is named.

        Raises:
            StudyNotFoundError: No such study.
            SeriesNotFoundError: A series is not one of the study.
            ProjectNotFoundError: No such project.
        """
        async with transaction(self._pool) as borrowed:
            await borrowed.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            study = await self._archive.study_record(study_id, borrowed)
            if study is None:
                raise StudyNotFoundError(study_id)
            project = await project_of(borrowed, project_id)
            await self._check_series(borrowed, study_id, series_ids)
            counts = await borrowed.fetchrow(
                QUERIES["release_counts"], study_id, project_id, list(series_ids)
            )
            name = deidentification_name(project.name)
            rows = await borrowed.fetch(QUERIES["release_stages"], study_id, name, list(series_ids))
        assert counts is not None  # noqa: S101 -- an aggregate returns a row
        found = ReleaseCounts(**dict(counts.items()))
        states = {StageState(row["state"]) for row in rows}
        state = release_state(
            found,
            working=study.state is StudyState.RECEIVING or bool(states & _WORKING),
            stopped=StageState.HELD in states or StageState.REFUSED in states,
        )
        return Release(state, found)

    async def objects(
        self, project_id: str, study_id: str, series_ids: Sequence[str]
    ) -> AsyncGenerator[list[ReleasedObject], None]:
        """Yield what may go outside in batches, by series and instance number."""
        after: tuple[str, int, str] | None = None
        while True:
            async with connection(self._pool) as borrowed:
                rows = await borrowed.fetch(
                    QUERIES["released_page"],
                    study_id,
                    project_id,
                    list(series_ids),
                    BATCH,
                    *(after or (None, None, None)),
                )
            found = [released_from_row(row) for row in rows]
            if found:
                yield found
            if len(found) < BATCH:
                return
            after = (found[-1].series_id, found[-1].instance_number, found[-1].instance_id)

    async def _check_series(
        self, borrowed: Connection, study_id: str, series_ids: Sequence[str]
    ) -> None:
        known = {one.series_id for one in await self._archive.series_records(study_id, borrowed)}
        for series_id in series_ids:
            if series_id not in known:
                raise SeriesNotFoundError(series_id)

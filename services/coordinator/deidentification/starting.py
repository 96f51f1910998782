"""Has series de-identified as stages of their study's workflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.coordinator.archive.errors import SeriesNotFoundError, StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.deidentification.project_store import QUERIES, project_of
from services.coordinator.deidentification.work import WantedStage, wanted_stages
from services.coordinator.workflow import store
from services.coordinator.workflow.plan import StageSpec
from services.coordinator.workflow.progression import Progression
from services.coordinator.workflow.queue import JobQueue
from services.coordinator.workflow.stages import Stage, StageState, deidentification_name
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, transaction


class DeidStages:
    """Makes stages, and has them run again when what goes into them has changed.

    Args:
        pool: Pool of the database.
        archive: Holds and locks the studies.
        queue: Where jobs wait.
        wake: Called when there is new work in the queue.
    """

    def __init__(
        self, pool: Pool, archive: ArchiveStore, queue: JobQueue, wake: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._archive = archive
        self._progression = Progression(archive, queue)
        self.wake = wake

    async def start(self, project_id: str, study_id: str, series_ids: Sequence[str]) -> list[str]:
        """Have series of a study de-identified, all when none is named.

        Returns:
            The stages that do it; none before the study is planned.

        Raises:
            StudyNotFoundError: No such study.
            SeriesNotFoundError: A series is not one of the study.
            ProjectNotFoundError: No such project.
        """
        async with transaction(self._pool) as connection:
            generation = await self._lock(connection, study_id)
            await project_of(connection, project_id)
            await self._check_series(connection, study_id, series_ids)
            await connection.execute(
                QUERIES["request_series"], study_id, project_id, list(series_ids)
            )
            await connection.execute(QUERIES["ask_again"], project_id, study_id, list(series_ids))
            ids = await self.refresh(connection, study_id, generation, project_id, series_ids)
        self.wake()
        return ids

    async def lock_study(self, connection: Connection, study_id: str) -> int:
        """Lock a study until the transaction ends; its generation.

        Raises:
            StudyNotFoundError: No such study.
        """
        return await self._lock(connection, study_id)

    async def run_again(self, project_id: str, study_id: str, series_ids: Sequence[str]) -> bool:
        """Have series run again whose input has changed; false when the study is gone."""
        async with transaction(self._pool) as connection:
            head = await self._archive.lock_study(connection, study_id)
            if head is None:
                return False
            await self.refresh(connection, study_id, head[0], project_id, series_ids)
        return True

    async def refresh(
        self,
        connection: Connection,
        study_id: str,
        generation: int,
        project_id: str,
        series_ids: Sequence[str],
    ) -> list[str]:
        """Make stages that are wanted and not there, run again what has changed; their ids.

        The study is locked by the caller. A stage that runs is left to its end: it looks itself
        whether more was asked meanwhile.
        """
        planned = await connection.fetchval(store.QUERIES["plan_of_study"], study_id, generation)
        if planned is None:
            return []
        wanted = await wanted_stages(connection, study_id, project_id)
        wanted = [one for one in wanted if not series_ids or one.series_id in series_ids]
        if not wanted:
            return []
        ids = await self._insert(connection, study_id, generation, wanted)
        stages = await store.stages_of_generation(connection, study_id, generation)
        versions = {ids[spec_of(one).key]: one.version for one in wanted}
        await reset_changed(connection, study_id, stages, versions)
        await self._progression.advance(connection, study_id, generation)
        return list(versions)

    async def _insert(
        self, connection: Connection, study_id: str, generation: int, wanted: Sequence[WantedStage]
    ) -> dict[tuple[str, str | None], str]:
        study = await self._archive.study_record(study_id, connection)
        if study is None:
            raise StudyNotFoundError(study_id)
        return await store.insert_stages(
            connection,
            study_id,
            generation,
            [spec_of(one) for one in wanted],
            priority=study.priority,
            correlation_id=new_id(),
        )

    async def _lock(self, connection: Connection, study_id: str) -> int:
        head = await self._archive.lock_study(connection, study_id)
        if head is None:
            raise StudyNotFoundError(study_id)
        return head[0]

    async def _check_series(
        self, connection: Connection, study_id: str, series_ids: Sequence[str]
    ) -> None:
        known = {one.series_id for one in await self._archive.series_records(study_id, connection)}
        for series_id in series_ids:
            if series_id not in known:
                raise SeriesNotFoundError(series_id)


def spec_of(wanted: WantedStage) -> StageSpec:
    """Return the stage that is wanted."""
    return StageSpec(deidentification_name(wanted.project), wanted.series_id, wanted.version)


async def reset_changed(
    connection: Connection, study_id: str, stages: Sequence[Stage], versions: dict[str, str]
) -> None:
    """Let stages wait anew that stopped, or whose input has changed since they ran."""
    again = []
    for stage in stages:
        version = versions.get(stage.stage_id)
        if version is None or stage.state is StageState.RUNNING:
            continue
        if stage.version != version or stage.state is StageState.HELD:
            again.append(stage.stage_id)
            await connection.execute(store.QUERIES["set_stage_version"], stage.stage_id, version)
    if again:
        await store.change_states(connection, "reset_stages", study_id, StageState.PENDING, again)

"""What people and late instances change about the work on a study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from services.coordinator.archive.errors import SeriesNotFoundError, StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow import store
from services.coordinator.workflow.errors import StageNotFoundError, StageStateError
from services.coordinator.workflow.plan import StageSpec, analysis_spec
from services.coordinator.workflow.progression import Progression
from services.coordinator.workflow.queue import JobQueue
from services.coordinator.workflow.stages import (
    Priority,
    Stage,
    StageKind,
    StageState,
    analysis_name,
)
from services.runtime.postgres import Connection, Pool, transaction

CANCELLED = "CANCELLED"
_CANCELLED_TEXT = "A person stopped the work on this study."
_REPLAYABLE = frozenset({StageState.HELD, StageState.REFUSED})


class Interventions:
    """Each method is one transaction.

    Args:
        pool: Pool of the database.
        archive: Holds the studies.
        queue: Where jobs wait.
        wake: Called when there is new work in the queue.
    """

    def __init__(
        self, pool: Pool, archive: ArchiveStore, queue: JobQueue, wake: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._archive = archive
        self._progression = Progression(archive, queue)
        self._wake = wake

    async def on_generation_opened(
        self, connection: Connection, study_id: str, generation: int
    ) -> None:
        """Supersede what was not settled; called by intake, which holds the study's lock."""
        changed = await store.change_states(
            connection,
            "supersede_unsettled",
            study_id,
            StageState.SUPERSEDED,
            study_id,
            generation,
        )
        await connection.execute(store.QUERIES["end_open_attempts"], changed, "fenced")

    async def replay(self, stage_id: str) -> None:
        """Run a held or refused stage again, and what depends on it after it.

        Raises:
            StageNotFoundError: No such stage.
            StageStateError: It is in another state, or belongs to an older generation.
        """
        async with transaction(self._pool) as connection:
            stage = await self._lock_stage(connection, stage_id)
            if stage.state not in _REPLAYABLE:
                raise StageStateError(stage_id, stage.state.value)
            stages = await self._with_dependents(connection, [stage_id], stage)
            await self._reset(connection, stage.study_id, stages)
            await self._progression.advance(connection, stage.study_id, stage.generation)
        self._wake()

    async def cancel(self, study_id: str) -> int:
        """Hold what waits or runs for a study and return how many stages that were.

        Raises:
            StudyNotFoundError: No such study.
        """
        async with transaction(self._pool) as connection:
            generation = await self._lock_study(connection, study_id)
            stopped = await store.change_states(
                connection,
                "cancel_stages",
                study_id,
                StageState.HELD,
                study_id,
                generation,
                CANCELLED,
                _CANCELLED_TEXT,
            )
            await connection.execute(store.QUERIES["end_open_attempts"], stopped, "cancelled")
            await self._progression.advance(connection, study_id, generation)
        return len(stopped)

    async def set_priority(self, study_id: str, priority: Priority) -> None:
        """Change how soon a study's work is taken.

        Raises:
            StudyNotFoundError: No such study.
        """
        async with transaction(self._pool) as connection:
            generation = await self._lock_study(connection, study_id)
            await self._apply_priority(connection, study_id, generation, priority)
            await self._progression.advance(connection, study_id, generation)
        self._wake()

    async def start_analysis(
        self,
        study_id: str,
        series_ids: Sequence[str],
        model: str,
        version: str,
        priority: Priority | None,
    ) -> list[str]:
        """Have a model run on series; the stages that do it, none before the study is planned.

        Raises:
            StudyNotFoundError: No such study.
            SeriesNotFoundError: A series is not one of the study.
        """
        async with transaction(self._pool) as connection:
            generation = await self._lock_study(connection, study_id)
            await self._check_series(connection, study_id, series_ids)
            await connection.execute(
                store.QUERIES["request_analysis"], study_id, list(series_ids), model, version
            )
            if priority is not None:
                await self._apply_priority(connection, study_id, generation, priority)
            stage_ids = await self._add_analyses(
                connection, study_id, generation, series_ids, model, version
            )
            await self._progression.advance(connection, study_id, generation)
        self._wake()
        return stage_ids

    async def _add_analyses(
        self,
        connection: Connection,
        study_id: str,
        generation: int,
        series_ids: Sequence[str],
        model: str,
        version: str,
    ) -> list[str]:
        before = await self._by_key(connection, study_id, generation)
        report = before.get((StageKind.REPORT, None))
        if report is None:
            return []
        specs = [
            spec
            for series_id in series_ids
            for spec in (
                StageSpec(StageKind.CONVERT, series_id),
                analysis_spec(series_id, model, version),
            )
        ]
        specs.append(StageSpec(StageKind.REPORT, None, "", tuple(spec.key for spec in specs)))
        ids = await store.insert_stages(
            connection,
            study_id,
            generation,
            specs,
            priority=report.priority,
            correlation_id=report.correlation_id,
        )
        wanted = [(analysis_name(model), series_id) for series_id in series_ids]
        again = await self._outdated(connection, [before.get(key) for key in wanted], version)
        if again or any(key not in before for key in ids):
            await self._reset(
                connection,
                study_id,
                await self._with_dependents(connection, [*again, report.stage_id], report),
            )
        return [ids[key] for key in wanted]

    async def _outdated(
        self, connection: Connection, stages: Iterable[Stage | None], version: str
    ) -> list[str]:
        """Return analyses that have to run again: held ones, and those of another version."""
        again = []
        for stage in stages:
            if stage is None:
                continue
            if stage.state is StageState.HELD or stage.version != version:
                again.append(stage.stage_id)
                await connection.execute(
                    store.QUERIES["set_stage_version"], stage.stage_id, version
                )
        return again

    async def _with_dependents(
        self, connection: Connection, stage_ids: Sequence[str], like: Stage
    ) -> list[str]:
        """Return stages and, over any number of steps, what depends on them."""
        needs = await store.dependencies(connection, like.study_id, like.generation)
        found = set(stage_ids)
        while True:
            more = {stage for stage, on in needs.items() if stage not in found and found & set(on)}
            if not more:
                return sorted(found)
            found |= more

    async def _reset(self, connection: Connection, study_id: str, stage_ids: Sequence[str]) -> None:
        await connection.execute(store.QUERIES["end_open_attempts"], stage_ids, "fenced")
        await store.change_states(
            connection, "reset_stages", study_id, StageState.PENDING, stage_ids
        )

    async def _apply_priority(
        self, connection: Connection, study_id: str, generation: int, priority: Priority
    ) -> None:
        await connection.execute(store.QUERIES["set_study_priority"], study_id, priority)
        await connection.execute(
            store.QUERIES["set_stage_priority"], study_id, generation, priority
        )
        # Queued again with the new rank; the older jobs' turn is over.
        await connection.execute(store.QUERIES["unqueue_stages"], study_id, generation)

    async def _lock_study(self, connection: Connection, study_id: str) -> int:
        head = await self._archive.lock_study(connection, study_id)
        if head is None:
            raise StudyNotFoundError(study_id)
        return head[0]

    async def _lock_stage(self, connection: Connection, stage_id: str) -> Stage:
        study_id = await store.study_of_stage(connection, stage_id)
        if study_id is None:
            raise StageNotFoundError(stage_id)
        generation = await self._lock_study(connection, study_id)
        stage = await store.stage_by_id(connection, stage_id)
        if stage is None:
            raise StageNotFoundError(stage_id)
        if stage.generation != generation:
            raise StageStateError(stage_id, StageState.SUPERSEDED.value)
        return stage

    async def _check_series(
        self, connection: Connection, study_id: str, series_ids: Sequence[str]
    ) -> None:
        known = {one.series_id for one in await self._archive.series_records(study_id, connection)}
        for series_id in series_ids:
            if series_id not in known:
                raise SeriesNotFoundError(series_id)

    async def _by_key(
        self, connection: Connection, study_id: str, generation: int
    ) -> Mapping[tuple[str, str | None], Stage]:
        stages = await store.stages_of_generation(connection, study_id, generation)
        return {(stage.name, stage.series_id): stage for stage in stages}

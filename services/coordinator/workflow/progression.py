"""Moves a study on: what is unlocked is copied, refused or queued, then its state is derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import StudyState
from services.coordinator.events.outbox import append_events
from services.coordinator.workflow import store
from services.coordinator.workflow.keys import input_key, series_digest
from services.coordinator.workflow.queue import JobQueue
from services.coordinator.workflow.rows import stage_event
from services.coordinator.workflow.stages import (
    Stage,
    StageKind,
    StageState,
    derive_study_state,
)
from services.runtime.postgres import Connection

NOT_CONVERTED: Final = "SERIES_NOT_CONVERTED"
_NOT_CONVERTED_TEXT: Final = "The series was not made into a volume, so the model was not run."
_FROM_IMAGES: Final = frozenset({StageKind.DESCRIBE, StageKind.CONVERT, StageKind.DEIDENTIFY})


@dataclass(frozen=True, slots=True)
class _Unlocked:
    """A stage that depends on nothing unsettled, with its key."""

    stage: Stage
    key: str
    refused: bool


class Progression:
    """Takes part in the transaction of whoever changed a stage; the study is locked by it."""

    def __init__(self, archive: ArchiveStore, queue: JobQueue) -> None:
        self._archive = archive
        self._queue = queue

    async def advance(self, connection: Connection, study_id: str, generation: int) -> None:
        """Unlock what can go on until nothing changes, then derive the study's state."""
        while True:
            unlocked = await self._unlocked(connection, study_id, generation)
            if not unlocked:
                break
            await self._move(connection, study_id, generation, unlocked)
        await self._derive(connection, study_id, generation)

    async def _unlocked(
        self, connection: Connection, study_id: str, generation: int
    ) -> list[_Unlocked]:
        rows = await connection.fetch(store.QUERIES["unlocked_stages"], study_id, generation)
        if not rows:
            return []
        stages = {
            stage.stage_id: stage
            for stage in await store.stages_of_generation(connection, study_id, generation)
        }
        needs = await store.dependencies(connection, study_id, generation)
        chosen = [stages[row["stage_id"]] for row in rows]
        digests = await _digests(connection, study_id, chosen)
        return [
            _with_key(stage, [stages[one] for one in needs.get(stage.stage_id, ())], digests)
            for stage in chosen
        ]

    async def _move(
        self,
        connection: Connection,
        study_id: str,
        generation: int,
        unlocked: Sequence[_Unlocked],
    ) -> None:
        before = await _settled_before(connection, study_id, generation)
        waiting: list[_Unlocked] = []
        for one in unlocked:
            older = before.get((one.stage.name, one.stage.series_id, one.key))
            if one.refused:
                await _refuse(connection, one)
            elif older is not None:
                await _copy(connection, one.stage, older)
            else:
                waiting.append(one)
        keys = {one.stage.stage_id: one.key for one in waiting}
        items = await store.queue_stages(connection, [one.stage for one in waiting], keys)
        await self._queue.enqueue(connection, items)

    async def _derive(self, connection: Connection, study_id: str, generation: int) -> None:
        rows = await connection.fetch(store.QUERIES["count_states"], study_id, generation)
        head = await self._archive.lock_study(connection, study_id)
        if not rows or head is None or head[0] != generation or head[1] is StudyState.RECEIVING:
            return
        counts = {StageState(row["state"]): row["count"] for row in rows}
        begun = any(row["begun"] for row in rows)
        state = derive_study_state(counts, begun=begun)
        await self._archive.set_study_state(connection, study_id, state)


def _with_key(stage: Stage, needs: Sequence[Stage], digests: Mapping[str, str]) -> _Unlocked:
    if stage.kind in _FROM_IMAGES:
        inputs = [digests.get(stage.series_id or "", "")]
    else:
        inputs = [_outcome_key(one) for one in needs]
    refused = stage.kind is StageKind.ANALYZE and any(
        one.state is StageState.REFUSED for one in needs
    )
    return _Unlocked(stage, input_key(stage, inputs), refused)


def _outcome_key(stage: Stage) -> str:
    return f"{stage.name}/{stage.series_id or ''}/{stage.state}/{stage.output_key}"


async def _digests(
    connection: Connection, study_id: str, stages: Sequence[Stage]
) -> dict[str, str]:
    if not any(stage.kind in _FROM_IMAGES for stage in stages):
        return {}
    rows = await connection.fetch(store.QUERIES["instance_hashes"], study_id)
    return {row["series_id"]: series_digest(row["sha256s"]) for row in rows}


async def _settled_before(
    connection: Connection, study_id: str, generation: int
) -> dict[tuple[str, str | None, str], str]:
    if generation == 1:
        return {}
    rows = await connection.fetch(store.QUERIES["settled_before"], study_id, generation)
    found: dict[tuple[str, str | None, str], str] = {}
    for row in rows:
        found.setdefault((row["name"], row["series_id"], row["input_key"]), row["stage_id"])
    return found


async def _copy(connection: Connection, stage: Stage, older_id: str) -> None:
    await connection.execute(store.QUERIES["copy_outcome"], stage.stage_id, older_id)
    copied = await store.stage_by_id(connection, stage.stage_id)
    if copied is not None:
        await append_events(connection, [stage_event(copied, copied.state)])


async def _refuse(connection: Connection, one: _Unlocked) -> None:
    await connection.execute(
        store.QUERIES["refuse_waiting_stage"],
        one.stage.stage_id,
        NOT_CONVERTED,
        _NOT_CONVERTED_TEXT,
        one.key,
    )
    await append_events(connection, [stage_event(one.stage, StageState.REFUSED)])

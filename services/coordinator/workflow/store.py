"""Statements that change stages. All take part in the caller's transaction.

Whoever changes a stage locks its study first (``ArchiveStore.lock_study``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from services.coordinator.events.outbox import append_events
from services.coordinator.workflow.plan import RequestedAnalysis, StageKey, StageSpec
from services.coordinator.workflow.queue import QueueItem
from services.coordinator.workflow.retry import Hold
from services.coordinator.workflow.rows import stage_event, stage_from_row, state_event
from services.coordinator.workflow.runner import Attempt, StageResult
from services.coordinator.workflow.stages import (
    Stage,
    StageState,
    is_urgent,
    kind_of,
    rank_of,
)
from services.runtime.ids import new_id
from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.workflow")


async def insert_stages(
    connection: Connection,
    study_id: str,
    generation: int,
    specs: Sequence[StageSpec],
    *,
    priority: int,
    correlation_id: str,
) -> dict[StageKey, str]:
    """Make stages with what they depend on; those that exist stay. Their ids by name and series."""
    await connection.execute(
        QUERIES["insert_stages"],
        study_id,
        generation,
        correlation_id,
        priority,
        [new_id() for _ in specs],
        [spec.series_id for spec in specs],
        [spec.name for spec in specs],
        [spec.version for spec in specs],
    )
    stages = await stages_of_generation(connection, study_id, generation)
    ids = {(stage.name, stage.series_id): stage.stage_id for stage in stages}
    pairs = [(ids[spec.key], ids[key]) for spec in specs for key in spec.depends_on]
    await connection.execute(
        QUERIES["insert_dependencies"], [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    )
    return {spec.key: ids[spec.key] for spec in specs}


async def stage_by_id(connection: Connection, stage_id: str) -> Stage | None:
    """Return one stage."""
    row = await connection.fetchrow(QUERIES["stage_by_id"], stage_id)
    return None if row is None else stage_from_row(row)


async def study_of_stage(connection: Connection, stage_id: str) -> str | None:
    """Return the study a stage belongs to."""
    study_id: str | None = await connection.fetchval(QUERIES["study_of_stage"], stage_id)
    return study_id


async def stages_of_generation(
    connection: Connection, study_id: str, generation: int
) -> list[Stage]:
    """Return the stages of one generation, in no order."""
    rows = await connection.fetch(QUERIES["stages_of_generation"], study_id, generation)
    return [stage_from_row(row) for row in rows]


async def dependencies(
    connection: Connection, study_id: str, generation: int
) -> dict[str, list[str]]:
    """Return the ids of the stages that each stage depends on."""
    rows = await connection.fetch(QUERIES["dependencies"], study_id, generation)
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["stage_id"], []).append(row["depends_on"])
    return found


async def queue_stages(
    connection: Connection, stages: Sequence[Stage], keys: Mapping[str, str]
) -> list[QueueItem]:
    """Begin a new turn of stages with their input keys; what to put into the queue."""
    rows = await connection.fetch(
        QUERIES["queue_stages"],
        [stage.stage_id for stage in stages],
        [rank_of(stage.name, stage.priority) for stage in stages],
        [keys[stage.stage_id] for stage in stages],
    )
    return [
        QueueItem(
            row["stage_id"],
            row["turn"],
            kind_of(row["name"]),
            row["rank"],
            urgent=is_urgent(row["priority"]),
        )
        for row in rows
    ]


async def begin_attempt(
    connection: Connection, stage: Stage, *, worker: str, failure_count: int
) -> Attempt | None:
    """Begin an attempt of a stage; None when the turn is over."""
    attempt_id = new_id()
    number = await connection.fetchval(
        QUERIES["take_stage"], stage.stage_id, stage.turn, attempt_id, failure_count
    )
    if number is None:
        return None
    await connection.execute(QUERIES["insert_attempt"], attempt_id, stage.stage_id, number, worker)
    await append_events(connection, [stage_event(stage, StageState.RUNNING)])
    return Attempt(attempt_id, number, stage)


async def end_attempt(
    connection: Connection,
    attempt_id: str,
    outcome: str,
    error_reason: str = "",
    service_version: str = "",
) -> None:
    """Keep how an attempt ended, unless that is known already."""
    await connection.execute(
        QUERIES["end_attempt"], attempt_id, outcome, error_reason, service_version
    )


async def finish_stage(connection: Connection, attempt: Attempt, result: StageResult) -> bool:
    """Keep the outcome of an attempt; false when it is no longer the current one."""
    stage = attempt.stage
    state = StageState.DONE if result.refusal is None else StageState.REFUSED
    code, text = result.refusal or ("", "")
    accepted = await connection.fetchval(
        QUERIES["finish_stage"],
        stage.stage_id,
        attempt.attempt_id,
        state.value,
        result.result or None,
        result.result_type,
        result.output_key,
        code,
        text,
    )
    if not accepted:
        return False
    await end_attempt(
        connection, attempt.attempt_id, state.value, service_version=result.service_version
    )
    await _insert_result_blobs(connection, stage, result)
    await append_events(connection, [stage_event(stage, state)])
    return True


async def _insert_result_blobs(connection: Connection, stage: Stage, result: StageResult) -> None:
    if result.blobs:
        await connection.execute(
            QUERIES["insert_result_blobs"],
            stage.study_id,
            stage.stage_id,
            [blob.sha256 for blob in result.blobs],
            [blob.size_bytes for blob in result.blobs],
            [blob.media_type for blob in result.blobs],
        )


async def postpone_stage(
    connection: Connection,
    attempt: Attempt,
    delay: timedelta,
    failure_count: int,
    *,
    code: str = "",
    text: str = "",
) -> QueueItem | None:
    """Let a stage be tried again; what to put into the queue, None when it was taken away."""
    stage = attempt.stage
    turn = await connection.fetchval(
        QUERIES["postpone_stage"],
        stage.stage_id,
        attempt.attempt_id,
        failure_count,
        code,
        text,
        delay,
    )
    if turn is None:
        return None
    await append_events(connection, [stage_event(stage, StageState.PENDING)])
    rank = rank_of(stage.name, stage.priority)
    return QueueItem(
        stage.stage_id, turn, stage.kind, rank, urgent=is_urgent(stage.priority), delay=delay
    )


async def hold_stage(
    connection: Connection, attempt: Attempt, hold: Hold, failure_count: int
) -> bool:
    """Hold a stage for a person; false when it was taken away."""
    stage = attempt.stage
    accepted = await connection.fetchval(
        QUERIES["hold_stage"],
        stage.stage_id,
        attempt.attempt_id,
        failure_count,
        hold.code,
        hold.text,
    )
    if accepted:
        await append_events(connection, [stage_event(stage, StageState.HELD)])
    return bool(accepted)


async def change_states(
    connection: Connection, query: str, study_id: str, state: StageState, *args: object
) -> list[str]:
    """Run a statement that changes stages of a study and tell of it; the ids of the changed."""
    rows = await connection.fetch(QUERIES[query], *args)
    await append_events(connection, [state_event(study_id, row, state) for row in rows])
    return [row["stage_id"] for row in rows]


async def requested_analyses(connection: Connection, study_id: str) -> list[RequestedAnalysis]:
    """Return the analyses that people asked for."""
    rows = await connection.fetch(QUERIES["requested_analyses"], study_id)
    return [RequestedAnalysis(row["series_id"], row["model"], row["version"]) for row in rows]

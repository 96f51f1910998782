"""Rows of the workflow's tables as domain objects."""

from __future__ import annotations

import dataclasses
from typing import Final

import asyncpg

from services.coordinator.events.outbox import EventDraft, EventType
from services.coordinator.workflow.stages import Stage, StageState

_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Stage))
_IDS: Final = ("stage_id", "study_id", "series_id", "current_attempt_id")


def stage_from_row(row: asyncpg.Record) -> Stage:
    """Return a row of ``workflow.stage_head`` as a stage."""
    fields = {name: row[name] for name in _FIELDS}
    for name in _IDS:
        fields[name] = None if fields[name] is None else str(fields[name])
    fields["state"] = StageState(fields["state"])
    fields["settled_state"] = StageState(row["settled_state"]) if row["settled_state"] else None
    return Stage(**fields)


def state_event(study_id: str, row: asyncpg.Record, state: StageState) -> EventDraft:
    """Return the event that a stage of a changed row is in a new state."""
    return EventDraft(
        EventType.STAGE_STATE_CHANGED,
        study_id,
        series_id=row["series_id"],
        stage_id=row["stage_id"],
        stage_name=row["name"],
        state=f"STAGE_STATE_{state.name}",
        generation=row["generation"],
        correlation_id=row["correlation_id"],
    )


def stage_event(stage: Stage, state: StageState) -> EventDraft:
    """Return the event that a stage is in a new state."""
    return EventDraft(
        EventType.STAGE_STATE_CHANGED,
        stage.study_id,
        series_id=stage.series_id,
        stage_id=stage.stage_id,
        stage_name=stage.name,
        state=f"STAGE_STATE_{state.name}",
        generation=stage.generation,
        correlation_id=stage.correlation_id,
    )

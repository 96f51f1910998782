"""The rows of scheduled steps."""

from __future__ import annotations

import json
from typing import Final

import asyncpg

from services.coordinator.archive.words import folded
from services.coordinator.worklist.errors import (
    ProcedureStepNotFoundError,
    ProcedureStepStateError,
)
from services.coordinator.worklist.matching import Statement
from services.coordinator.worklist.scheduled_step import (
    ScheduledSpec,
    ScheduledState,
    ScheduledStep,
)
from services.coordinator.worklist.scheduling import OPEN, keeping_ids, with_ids, with_study
from services.dicom.uids import new_uid
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.worklist")
_CHANGEABLE: Final = OPEN
_CANCELLABLE: Final = OPEN | {ScheduledState.CANCELLED}


class WorklistStore:
    """Scheduled steps in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def schedule(self, spec: ScheduledSpec) -> ScheduledStep:
        """Put a step on the worklist.

        Raises:
            ProcedureStepStateError: Its order has a step of that id.
        """
        async with transaction(self._pool) as borrowed:
            step = await insert(borrowed, with_ids(spec))
        if step is None:
            raise ProcedureStepStateError("exists")
        return step

    async def replace(self, step_id: str, spec: ScheduledSpec) -> ScheduledStep:
        """Schedule something else instead, before the step has begun.

        Raises:
            ProcedureStepNotFoundError: No such step.
            ProcedureStepStateError: It has begun or was cancelled, or the id is taken.
        """
        async with transaction(self._pool) as borrowed:
            before = await _locked(borrowed, step_id, _CHANGEABLE)
            return await overwrite(borrowed, before, spec)

    async def cancel(self, step_id: str) -> ScheduledStep:
        """Take a step off the worklist of the modalities.

        Raises:
            ProcedureStepNotFoundError: No such step.
            ProcedureStepStateError: It has begun.
        """
        async with transaction(self._pool) as borrowed:
            await _locked(borrowed, step_id, _CANCELLABLE)
            row = await borrowed.fetchrow(
                QUERIES["set_step_state"], step_id, ScheduledState.CANCELLED.value
            )
        if row is None:
            raise ProcedureStepNotFoundError
        return step_from_row(row)

    async def delete(self, step_id: str) -> None:
        """Forget a step, as if it had never been scheduled.

        Raises:
            ProcedureStepStateError: It has begun.
        """
        async with transaction(self._pool) as borrowed:
            try:
                await _locked(borrowed, step_id, _CANCELLABLE)
            except ProcedureStepNotFoundError:
                return
            await borrowed.execute(QUERIES["delete_step"], step_id)

    async def find(self, statement: Statement) -> list[ScheduledStep]:
        """Return what a statement finds."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(statement.text, *statement.parameters)
        return [step_from_row(row) for row in rows]


async def insert(borrowed: Connection, spec: ScheduledSpec) -> ScheduledStep | None:
    """Add a step whose ids are there; None when its order has one of that id."""
    if not spec.procedure.study_instance_uid:
        spec = with_study(spec, await _study_of_order(borrowed, spec) or new_uid())
    row = await borrowed.fetchrow(QUERIES["insert_step"], new_id(), *_columns(spec))
    return None if row is None else step_from_row(row)


async def overwrite(
    borrowed: Connection, before: ScheduledStep, spec: ScheduledSpec
) -> ScheduledStep:
    """Replace what a locked step schedules.

    Raises:
        ProcedureStepStateError: Its new order has another step of that id.
    """
    spec = keeping_ids(spec, before.spec)
    if spec == before.spec:
        return before
    try:
        row = await borrowed.fetchrow(
            QUERIES["replace_step"], before.scheduled_step_id, *_columns(spec)
        )
    except asyncpg.UniqueViolationError:
        raise ProcedureStepStateError("exists") from None
    if row is None:
        raise ProcedureStepNotFoundError
    return step_from_row(row)


async def locked_of_order(borrowed: Connection, spec: ScheduledSpec) -> ScheduledStep | None:
    """Lock the step that the order has under the same id."""
    procedure = spec.procedure
    row = await borrowed.fetchrow(
        QUERIES["lock_step_of_order"],
        procedure.accession_number,
        procedure.requested_procedure_id,
        spec.scheduled_procedure_step_id,
    )
    return None if row is None else step_from_row(row)


def step_from_row(row: asyncpg.Record) -> ScheduledStep:
    """Return a row of ``worklist.scheduled_step``."""
    return ScheduledStep(
        scheduled_step_id=str(row["scheduled_step_id"]),
        state=ScheduledState(row["state"]),
        spec=ScheduledSpec.from_json(json.loads(row["spec"])),
        create_time=row["create_time"],
        update_time=row["update_time"],
    )


async def _locked(
    borrowed: Connection, step_id: str, allowed: frozenset[ScheduledState]
) -> ScheduledStep:
    row = await borrowed.fetchrow(QUERIES["lock_step"], step_id)
    if row is None:
        raise ProcedureStepNotFoundError
    step = step_from_row(row)
    if step.state not in allowed:
        raise ProcedureStepStateError(step.state.value)
    return step


async def _study_of_order(borrowed: Connection, spec: ScheduledSpec) -> str | None:
    procedure = spec.procedure
    found: str | None = await borrowed.fetchval(
        QUERIES["study_of_order"], procedure.accession_number, procedure.requested_procedure_id
    )
    return found


def _columns(spec: ScheduledSpec) -> tuple[object, ...]:
    return (
        json.dumps(spec.to_json()),
        spec.start_date + spec.start_time,
        spec.modality,
        list(spec.scheduled_station_ae_titles),
        spec.patient.patient_id,
        folded(spec.patient.patient_name).rstrip("^"),
        spec.procedure.accession_number,
        spec.procedure.requested_procedure_id,
        spec.scheduled_procedure_step_id,
        spec.procedure.study_instance_uid,
    )

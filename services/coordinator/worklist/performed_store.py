"""The rows of performed steps."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

import asyncpg

from services.coordinator.worklist.announcements import Announcements
from services.coordinator.worklist.errors import (
    ProcedureStepNotFoundError,
    ProcedureStepStateError,
)
from services.coordinator.worklist.performed_step import (
    PerformedAttributes,
    PerformedChange,
    PerformedRecord,
    PerformedState,
    PerformedStep,
    changed,
    series_from_json,
    series_to_json,
)
from services.coordinator.worklist.scheduled_step import ScheduledState
from services.coordinator.worklist.store import QUERIES
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, connection, transaction

_SCHEDULED_STATES: Final = {
    PerformedState.IN_PROGRESS: ScheduledState.STARTED,
    PerformedState.COMPLETED: ScheduledState.COMPLETED,
    PerformedState.DISCONTINUED: ScheduledState.DISCONTINUED,
}
_UNFINISHED: Final = ("scheduled", "started", "discontinued")


class PerformedStore:
    """Performed steps in PostgreSQL.

    Args:
        pool: Pool of the database.
        announcements: Told what they say of studies.
    """

    def __init__(self, pool: Pool, announcements: Announcements) -> None:
        self._pool = pool
        self._announcements = announcements

    async def create(self, step: PerformedStep) -> None:
        """Record that a step began.

        Raises:
            ProcedureStepStateError: One of that UID is known.
        """
        async with transaction(self._pool) as borrowed:
            inserted = await borrowed.fetchval(
                QUERIES["insert_performed"],
                new_id(),
                step.sop_instance_uid,
                step.state.value,
                step.attributes.study_instance_uids,
                json.dumps(step.attributes.to_json()),
                json.dumps(series_to_json(step.series)),
            )
            if inserted is None:
                raise ProcedureStepStateError("exists")
            await _advance_scheduled(borrowed, step)
            for study in step.attributes.study_instance_uids:
                await self._announcements.step_began(borrowed, study, step.sop_instance_uid)

    async def update(self, sop_instance_uid: str, change: PerformedChange) -> None:
        """Record what a modality says of a step.

        Raises:
            ProcedureStepNotFoundError: No such step.
            ProcedureStepStateError: It is final.
        """
        async with transaction(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["lock_performed"], sop_instance_uid)
            if row is None:
                raise ProcedureStepNotFoundError
            step = changed(record_from_row(row).step, change)
            await borrowed.execute(
                QUERIES["update_performed"],
                sop_instance_uid,
                step.state.value,
                json.dumps(step.attributes.to_json()),
                json.dumps(series_to_json(step.series)),
            )
            if step.state is not PerformedState.IN_PROGRESS:
                await _advance_scheduled(borrowed, step)
                await self._announce_end(borrowed, step)

    async def page(
        self,
        count: int,
        state: PerformedState | None,
        study_instance_uid: str,
        sop_instance_uid: str,
        after: tuple[datetime, str] | None,
    ) -> list[PerformedRecord]:
        """Return steps, the latest heard of first, from after one of them on."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(
                QUERIES["page_of_performed"],
                count,
                state and state.value,
                study_instance_uid,
                sop_instance_uid,
                *(after or (None, None)),
            )
        return [record_from_row(row) for row in rows]

    async def _announce_end(self, borrowed: Connection, step: PerformedStep) -> None:
        studies = step.attributes.study_instance_uids
        made = {
            one.series_instance_uid: [uid for _, uid in one.instances]
            for one in step.series
            if one.instances
        }
        # Of a step for several studies nobody can tell which instance belongs to which, and what
        # was broken off may not all be sent.
        told = len(studies) == 1 and step.state is PerformedState.COMPLETED
        for study in studies:
            await self._announcements.step_ended(
                borrowed, study, step.sop_instance_uid, made if told else {}
            )


def record_from_row(row: asyncpg.Record) -> PerformedRecord:
    """Return a row of ``worklist.performed_step``."""
    step = PerformedStep(
        sop_instance_uid=row["sop_instance_uid"],
        state=PerformedState(row["state"]),
        attributes=PerformedAttributes.from_json(json.loads(row["attributes"])),
        series=series_from_json(json.loads(row["series"])),
    )
    return PerformedRecord(
        str(row["performed_step_id"]), step, row["create_time"], row["update_time"]
    )


async def _advance_scheduled(borrowed: Connection, step: PerformedStep) -> None:
    named = [one for one in step.attributes.scheduled if one.scheduled_procedure_step_id]
    await borrowed.execute(
        QUERIES["advance_scheduled"],
        _SCHEDULED_STATES[step.state].value,
        list(_UNFINISHED),
        [one.study_instance_uid for one in named],
        [one.scheduled_procedure_step_id for one in named],
    )

"""The archive's rows. Methods with a connection take part in the caller's transaction."""

from __future__ import annotations

from typing import Final

import asyncpg

from services.coordinator.archive.patients import Patients
from services.coordinator.archive.records import (
    instance_from_row,
    series_from_row,
    study_from_row,
)
from services.coordinator.archive.search import StudyFilter
from services.coordinator.archive.searches import SearchBounds, Searches
from services.coordinator.archive.study import (
    Evidence,
    InstanceKey,
    InstanceRecord,
    SeriesRecord,
    StudyKey,
    StudyRecord,
    StudyState,
)
from services.coordinator.archive.study_search import StudySearch
from services.coordinator.events.outbox import EventDraft, EventType, append_event
from services.runtime.blob_ref import BlobRef
from services.runtime.postgres import Connection, Pool, connection
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.archive")


class ArchiveStore:
    """Reads and changes studies.

    A transaction that changes stages of a study and derives its state locks the study first
    (`lock_study`): intake takes the same locks, so any other order may deadlock.
    """

    def __init__(self, pool: Pool, bounds: SearchBounds | None = None) -> None:
        self._pool = pool
        self.searches = Searches(pool, bounds)
        self.patients = Patients(pool)

    async def lock_study(
        self, connection: Connection, study_id: str
    ) -> tuple[int, StudyState] | None:
        """Lock the study until the transaction ends; its generation and state."""
        row = await connection.fetchrow(QUERIES["lock_study"], study_id)
        return None if row is None else (row["generation"], StudyState(row["state"]))

    async def set_study_state(
        self,
        connection: Connection,
        study_id: str,
        state: StudyState,
        evidence: Evidence | None = None,
    ) -> bool:
        """Set the state and tell whether it changed; only a change is an event."""
        generation = await connection.fetchval(
            QUERIES["set_study_state"], study_id, state.value, evidence and evidence.value
        )
        if generation is None:
            return False
        draft = EventDraft(
            EventType.STUDY_STATE_CHANGED,
            study_id,
            state=f"STUDY_STATE_{state.name}",
            generation=generation,
        )
        await append_event(connection, draft)
        return True

    async def study_record(
        self, study_id: str, connection: Connection | None = None
    ) -> StudyRecord | None:
        """Return a study by our id."""
        rows = await self._fetch(connection, "study_by_id", study_id)
        return study_from_row(rows[0]) if rows else None

    async def study_record_by_uid(self, study_instance_uid: str) -> StudyRecord | None:
        """Return a study by its Study Instance UID."""
        rows = await self._fetch(None, "study_by_uid", study_instance_uid)
        return study_from_row(rows[0]) if rows else None

    async def series_records(
        self, study_id: str, connection: Connection | None = None
    ) -> list[SeriesRecord]:
        """Return the series of a study by series number."""
        rows = await self._fetch(connection, "series_of_study", study_id)
        return [series_from_row(row) for row in rows]

    async def series_instances(
        self, series_id: str, connection: Connection | None = None
    ) -> list[tuple[BlobRef, bytes, int]]:
        """Return file, serialized attributes and generation of each instance of a series.

        In order of instance number, then of arrival.
        """
        rows = await self._fetch(connection, "instances_of_series", series_id)
        records = [instance_from_row(row) for row in rows]
        return [(record.blob, record.attributes, record.generation) for record in records]

    async def instance_record(self, instance_id: str) -> InstanceRecord | None:
        """Return an instance by our id."""
        rows = await self._fetch(None, "instance_by_id", instance_id)
        return instance_from_row(rows[0]) if rows else None

    async def instance_page(
        self, series_id: str, limit: int, after: InstanceKey | None
    ) -> list[InstanceRecord] | None:
        """Return the instances of a series that follow one of them; None for no such series."""
        if not await self._fetch(None, "series_exists", series_id):
            return None
        if after is None:
            rows = await self._fetch(None, "instances_page", series_id, limit)
        elif after.number is None:
            rows = await self._fetch(
                None, "instances_page_after_unnumbered", series_id, limit, after.instance_id
            )
        else:
            rows = await self._fetch(
                None,
                "instances_page_after_number",
                series_id,
                limit,
                after.number,
                after.instance_id,
            )
        return [instance_from_row(row) for row in rows]

    async def search(
        self, wanted: StudyFilter, limit: int, after: StudyKey | None
    ) -> list[StudyRecord]:
        """Return studies that match, in the order wanted, from after one of them on."""
        return await StudySearch(self.searches).page(wanted, limit, after)

    async def _fetch(
        self, borrowed: Connection | None, query: str, *parameters: object
    ) -> list[asyncpg.Record]:
        if borrowed is not None:
            return await borrowed.fetch(QUERIES[query], *parameters)
        async with connection(self._pool) as own:
            return await own.fetch(QUERIES[query], *parameters)

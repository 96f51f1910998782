"""The archive's rows. Methods with a connection take part in the caller's transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import asyncpg

from services.coordinator.archive.study import (
    Evidence,
    InstanceRecord,
    JudgedStudy,
    SeriesRecord,
    StudyRecord,
    StudyState,
)
from services.coordinator.events.outbox import EventDraft, EventType, append_event
from services.runtime.blob_ref import BlobRef
from services.runtime.postgres import Connection, Pool
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.archive")
DICOM_MEDIA_TYPE: Final = "application/dicom"

Executor = Connection | Pool


class ArchiveStore:
    """Reads and changes studies.

    A transaction that changes stages of a study and derives its state locks the study first
    (`lock_study`): intake takes the same locks, so any other order may deadlock.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

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

    async def receiving_studies_ready_to_judge(
        self,
        connection: Connection,
        quiet_after: timedelta,
        released_after: timedelta,
        limit: int,
    ) -> list[JudgedStudy]:
        """Lock and return studies that may be called complete, by the database's clock.

        Studies that another transaction holds are left out.

        Args:
            connection: Connection with an open transaction.
            quiet_after: Evidence `QUIET`: nothing came for this long.
            released_after: Evidence `RELEASED`: every association of this generation was
                released in order and nothing came for this long.
            limit: At most this many.
        """
        rows = await connection.fetch(
            QUERIES["receiving_studies_ready_to_judge"], quiet_after, released_after, limit
        )
        return [
            JudgedStudy(str(row["study_id"]), row["generation"], Evidence(row["evidence"]))
            for row in rows
        ]

    async def study_record(
        self, study_id: str, connection: Connection | None = None
    ) -> StudyRecord | None:
        """Return a study by our id."""
        row = await self._executor(connection).fetchrow(QUERIES["study_by_id"], study_id)
        return None if row is None else study_from_row(row)

    async def study_record_by_uid(self, study_instance_uid: str) -> StudyRecord | None:
        """Return a study by its Study Instance UID."""
        row = await self._pool.fetchrow(QUERIES["study_by_uid"], study_instance_uid)
        return None if row is None else study_from_row(row)

    async def series_records(
        self, study_id: str, connection: Connection | None = None
    ) -> list[SeriesRecord]:
        """Return the series of a study by series number."""
        rows = await self._executor(connection).fetch(QUERIES["series_of_study"], study_id)
        return [_series_from_row(row) for row in rows]

    async def series_instances(
        self, series_id: str, connection: Connection | None = None
    ) -> list[tuple[BlobRef, bytes, int]]:
        """Return file, serialized attributes and generation of each instance of a series.

        In order of instance number, then of arrival.
        """
        rows = await self._executor(connection).fetch(QUERIES["instances_of_series"], series_id)
        records = [_instance_from_row(row) for row in rows]
        return [(record.blob, record.attributes, record.generation) for record in records]

    def _executor(self, connection: Connection | None) -> Executor:
        return self._pool if connection is None else connection


def study_from_row(row: asyncpg.Record) -> StudyRecord:
    """Return a row of ``archive.study`` as a record."""
    fields = dict(row.items())
    fields["study_id"] = str(fields["study_id"])
    fields["modalities"] = tuple(fields["modalities"])
    fields["state"] = StudyState(fields["state"])
    fields["evidence"] = Evidence(fields["evidence"]) if fields["evidence"] else None
    return StudyRecord(**fields)


def _series_from_row(row: asyncpg.Record) -> SeriesRecord:
    fields = dict(row.items())
    fields["series_id"] = str(fields["series_id"])
    fields["study_id"] = str(fields["study_id"])
    return SeriesRecord(**fields)


def _instance_from_row(row: asyncpg.Record) -> InstanceRecord:
    return InstanceRecord(
        instance_id=str(row["instance_id"]),
        series_id=str(row["series_id"]),
        study_id=str(row["study_id"]),
        blob=BlobRef(row["sha256"], row["size_bytes"], DICOM_MEDIA_TYPE),
        attributes=row["attributes"],
        generation=row["generation"],
        instance_number=row["instance_number"],
        receive_time=row["receive_time"],
    )

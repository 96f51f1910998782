"""Patients: their history, and merges of two that are one. Nothing that was sent is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from services.coordinator.archive.errors import PatientNotFoundError
from services.coordinator.archive.records import patient_from_row, study_from_row
from services.coordinator.archive.study import PatientRecord, StudyRecord
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import new_id
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive", "patient.sql")
_PATIENTS: Final = load_queries("services.coordinator.archive", "query.sql")["patients_by_id"]
_MOST_IDENTITIES: Final = 1000
_MOST_STUDIES: Final = 500


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge of two patients, in force or undone."""

    merge_id: str
    merged_key: str
    surviving_key: str
    reason: str
    merged_by: str
    merge_time: datetime
    unmerged_by: str | None
    unmerge_time: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """A patient with all that is known.

    Attributes:
        patient: The one that stands for all identities.
        identities: The patient's own, then those merged into it, each by itself.
        studies: The latest Study Date first.
        merges: The latest first, undone ones too.
    """

    patient: PatientRecord
    identities: Sequence[PatientRecord]
    studies: Sequence[StudyRecord]
    merges: Sequence[Merge]


class Patients:
    """Reads and merges patients."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def history(self, patient_key: str) -> History:
        """Return the patient that stands for one of our ids.

        Raises:
            PatientNotFoundError: Unknown.
        """
        return await self._history("survivor_of", patient_key)

    async def history_of_identity(self, patient_id: str, issuer: str) -> History:
        """Return the patient that stands for a Patient ID of an issuer.

        Raises:
            PatientNotFoundError: Unknown.
        """
        return await self._history("survivor_of_identity", patient_id, issuer)

    async def merge(self, merged: str, surviving: str, reason: str, subject: str) -> Merge:
        """Let one patient stand for another; a merge in force stays.

        Raises:
            PatientNotFoundError: One of them is unknown.
            InvalidFieldError: One of them is merged already, or both are the same.
        """
        async with transaction(self._pool) as borrowed:
            await borrowed.execute(_QUERIES["lock_merges"])
            known = await borrowed.fetch(_QUERIES["merge_state"], [merged, surviving])
            states = {str(row["patient_id"]): row["surviving_id"] for row in known}
            if not {merged, surviving} <= states.keys():
                raise PatientNotFoundError
            in_force = await borrowed.fetchrow(_QUERIES["merge_in_force"], merged)
            if in_force is not None and str(in_force["into_id"]) == surviving:
                return _merge(in_force)
            _check(merged, surviving, states)
            row = await borrowed.fetchrow(
                _QUERIES["add_merge"], new_id(), merged, surviving, reason, subject
            )
            await borrowed.execute(_QUERIES["link"], merged, surviving)
        return _merge(_there(row))

    async def unmerge(self, merged: str, subject: str) -> Merge | None:
        """Undo the merge of a patient; its latest merge, None when it never was merged.

        Raises:
            PatientNotFoundError: Unknown.
        """
        async with transaction(self._pool) as borrowed:
            await borrowed.execute(_QUERIES["lock_merges"])
            if not await borrowed.fetch(_QUERIES["merge_state"], [merged]):
                raise PatientNotFoundError
            row = await borrowed.fetchrow(_QUERIES["latest_merge"], merged)
            if row is not None and row["unmerge_time"] is None:
                row = await borrowed.fetchrow(_QUERIES["end_merge"], row["merge_id"], subject)
                await borrowed.execute(_QUERIES["unlink"], merged)
        return None if row is None else _merge(row)

    async def _history(self, query: str, *names: str) -> History:
        async with connection(self._pool) as borrowed:
            key: UUID | None = await borrowed.fetchval(_QUERIES[query], *names)
            if key is None:
                raise PatientNotFoundError
            return await self._read(borrowed, key)

    async def _read(self, borrowed: Connection, key: UUID) -> History:
        identities = await borrowed.fetch(_QUERIES["identities"], key, _MOST_IDENTITIES)
        ids = [row["patient_id"] for row in identities]
        whole = await borrowed.fetchrow(_PATIENTS, [key])
        studies = await borrowed.fetch(_QUERIES["history"], ids, _MOST_STUDIES)
        merges = await borrowed.fetch(_QUERIES["merges"], ids, _MOST_IDENTITIES)
        return History(
            patient=patient_from_row(whole or identities[0]),
            identities=[patient_from_row(row) for row in identities],
            studies=[study_from_row(row) for row in studies],
            merges=[_merge(row) for row in merges],
        )


def _check(merged: str, surviving: str, states: dict[str, UUID | None]) -> None:
    if merged == surviving:
        raise InvalidFieldError("surviving_key", "another patient than the one merged")
    for field, key in (("merged_key", merged), ("surviving_key", surviving)):
        if states[key] is not None:
            raise InvalidFieldError(field, "a patient that is not merged into another")


def _there(row: asyncpg.Record | None) -> asyncpg.Record:
    assert row is not None  # noqa: S101 - INSERT ... RETURNING
    return row


def _merge(row: asyncpg.Record) -> Merge:
    return Merge(
        merge_id=str(row["merge_id"]),
        merged_key=str(row["merged_id"]),
        surviving_key=str(row["into_id"]),
        reason=row["reason"],
        merged_by=row["merged_by"],
        merge_time=row["merge_time"],
        unmerged_by=row["unmerged_by"],
        unmerge_time=row["unmerge_time"],
    )

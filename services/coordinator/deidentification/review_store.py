"""What became of series and objects, and what people decide about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from services.coordinator.deidentification.errors import DeidentificationNotFoundError
from services.coordinator.deidentification.objects import (
    NEVER_APPROVED,
    Decision,
    Deidentification,
    DeidentifiedObject,
    ObjectState,
)
from services.coordinator.deidentification.project_store import QUERIES
from services.coordinator.deidentification.rows import DICOM, object_from_row, series_from_row
from services.coordinator.deidentification.starting import DeidStages
from services.coordinator.deidentification.work import count_objects
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import NotReleasedError
from services.runtime.postgres import Connection, Pool, connection, transaction

_DECISIONS: Final = {Decision.APPROVE: "approve_object", Decision.REJECT: "reject_object"}


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    """Which de-identified series are wanted; None is any."""

    project_id: str | None = None
    study_id: str | None = None
    state: ObjectState | None = None


class ReviewStore:
    """Reads what became of objects and keeps decisions.

    Args:
        pool: Pool of the database.
        stages: Has series run again.
    """

    def __init__(self, pool: Pool, stages: DeidStages) -> None:
        self._pool = pool
        self._stages = stages

    async def series_page(
        self, wanted: SeriesFilter, limit: int, after: tuple[datetime, str] | None
    ) -> list[Deidentification]:
        """Return series that match, the latest changed first."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(
                QUERIES["series_page"],
                limit,
                wanted.project_id,
                wanted.study_id,
                wanted.state,
                *(after or (None, None)),
            )
            return await _with_certificates(borrowed, rows)

    async def series(self, deidentification_id: str) -> Deidentification:
        """Return one series.

        Raises:
            DeidentificationNotFoundError: No such series.
        """
        async with connection(self._pool) as borrowed:
            return await _series(borrowed, deidentification_id)

    async def objects_page(
        self,
        deidentification_id: str,
        state: ObjectState | None,
        limit: int,
        after: tuple[int, str] | None,
    ) -> list[DeidentifiedObject]:
        """Return objects of a series by instance number."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(
                QUERIES["objects_page"],
                deidentification_id,
                state,
                limit,
                *(after or (None, None)),
            )
        return [object_from_row(row) for row in rows]

    async def source(self, deidentification_id: str, instance_id: str) -> BlobRef:
        """Return the file an object was made of.

        Raises:
            DeidentificationNotFoundError: No such object.
        """
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["source_of"], deidentification_id, instance_id)
        if row is None:
            raise DeidentificationNotFoundError(deidentification_id)
        return BlobRef(row["sha256"], row["size_bytes"], DICOM)

    async def decide(
        self,
        deidentification_id: str,
        instance_id: str,
        decision: Decision,
        subject: str,
        reason: str,
    ) -> DeidentifiedObject:
        """Keep what a person decides; what is approved is made again.

        Raises:
            DeidentificationNotFoundError: No such object, or nothing to decide about it.
            NotReleasedError: What holds it nobody may approve.
        """
        async with transaction(self._pool) as borrowed:
            series = await _series(borrowed, deidentification_id)
            generation = await self._stages.lock_study(borrowed, series.study_id)
            found = await _object(borrowed, deidentification_id, instance_id)
            _check(found, decision, deidentification_id)
            await borrowed.execute(
                QUERIES[_DECISIONS[decision]], deidentification_id, instance_id, subject, reason
            )
            await count_objects(borrowed, deidentification_id)
            await self._stages.refresh(
                borrowed, series.study_id, generation, series.project_id, [series.series_id]
            )
            decided = await _object(borrowed, deidentification_id, instance_id)
        self._stages.wake()
        return decided

    async def studies_with_held(self, project_id: str) -> list[tuple[str, list[str]]]:
        """Return studies with the series of them in which something is held for a project."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["studies_with_held"], project_id)
        return [(row["study_id"], row["series_ids"]) for row in rows]


def _check(found: DeidentifiedObject, decision: Decision, deidentification_id: str) -> None:
    if decision is Decision.REJECT:
        if found.state is ObjectState.REJECTED:
            raise DeidentificationNotFoundError(deidentification_id)
        return
    if not found.can_be_approved:
        raise DeidentificationNotFoundError(deidentification_id)
    for code, why in NEVER_APPROVED.items():
        if code in found.codes:
            raise NotReleasedError(why)


async def _with_certificates(
    borrowed: Connection, rows: Sequence[asyncpg.Record]
) -> list[Deidentification]:
    ids = [row["deidentification_id"] for row in rows]
    certificates = await borrowed.fetch(QUERIES["certificates"], ids) if ids else []
    return [series_from_row(row, certificates) for row in rows]


async def _series(borrowed: Connection, deidentification_id: str) -> Deidentification:
    row = await borrowed.fetchrow(QUERIES["series_by_id"], deidentification_id)
    if row is None:
        raise DeidentificationNotFoundError(deidentification_id)
    (found,) = await _with_certificates(borrowed, [row])
    return found


async def _object(
    borrowed: Connection, deidentification_id: str, instance_id: str
) -> DeidentifiedObject:
    row = await borrowed.fetchrow(QUERIES["object_by_id"], deidentification_id, instance_id)
    if row is None:
        raise DeidentificationNotFoundError(deidentification_id)
    return object_from_row(row)

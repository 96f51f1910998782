"""Rows of what was found, with what is above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from services.coordinator.archive.keys import Level
from services.coordinator.archive.records import (
    instance_from_row,
    patient_from_row,
    series_from_row,
    study_from_row,
)
from services.coordinator.archive.study import (
    InstanceRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
)
from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive", "query.sql")


@dataclass(frozen=True, slots=True)
class Found:
    """One match.

    Attributes:
        patient: Set at patient level.
        study: Set at study level and below.
        series: Set at series level and below.
        series_attributes: Of the series' instance with the lowest number, serialized; set at
            series level.
        instance: Set at instance level.
    """

    patient: PatientRecord | None = None
    study: StudyRecord | None = None
    series: SeriesRecord | None = None
    series_attributes: bytes = b""
    instance: InstanceRecord | None = None


class FoundRows:
    """Reads rows by their ids. One that was deleted meanwhile is left out."""

    def __init__(self, borrowed: Connection) -> None:
        self._borrowed = borrowed

    async def read(self, level: Level, ids: Sequence[UUID]) -> list[Found]:
        """Return what bears some ids, in their order."""
        if level is Level.PATIENT:
            patients = await self._by_id("patients_by_id", ids)
            return [
                Found(patient=patient_from_row(patients[one])) for one in ids if one in patients
            ]
        if level is Level.STUDY:
            studies = await self._studies(ids)
            return [Found(study=studies[one]) for one in ids if one in studies]
        if level is Level.SERIES:
            return await self._series(ids)
        return await self._instances(ids)

    async def _series(self, ids: Sequence[UUID]) -> list[Found]:
        rows = await self._by_id("series_by_id", ids)
        studies = await self._studies([row["study_id"] for row in rows.values()])
        return [
            Found(
                study=studies[rows[one]["study_id"]],
                series=series_from_row(rows[one]),
                series_attributes=rows[one]["attributes"] or b"",
            )
            for one in ids
            if one in rows and rows[one]["study_id"] in studies
        ]

    async def _instances(self, ids: Sequence[UUID]) -> list[Found]:
        rows = await self._by_id("instances_by_id", ids)
        series = await self._by_id("series_heads", [row["series_id"] for row in rows.values()])
        studies = await self._studies([row["study_id"] for row in rows.values()])
        records = {one: series_from_row(row) for one, row in series.items()}
        return [
            Found(
                study=studies[row["study_id"]],
                series=records[row["series_id"]],
                instance=instance_from_row(row),
            )
            for row in (rows[one] for one in ids if one in rows)
            if row["study_id"] in studies and row["series_id"] in records
        ]

    async def _studies(self, ids: Sequence[UUID]) -> dict[UUID, StudyRecord]:
        rows = await self._by_id("studies_by_id", list(set(ids)))
        return {one: study_from_row(row) for one, row in rows.items()}

    async def _by_id(self, query: str, ids: Sequence[UUID]) -> Mapping[UUID, asyncpg.Record]:
        rows = await self._borrowed.fetch(_QUERIES[query], ids)
        return {row[0]: row for row in rows}

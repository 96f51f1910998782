"""Finds the bytes of instances by their UIDs, in batches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.conditions import terms_of
from services.coordinator.archive.keys import Level
from services.coordinator.archive.links import linked_patients
from services.coordinator.archive.matching import AnyOf, Match
from services.coordinator.archive.query import located_statement, series_statement
from services.coordinator.archive.records import DICOM_MEDIA_TYPE
from services.coordinator.archive.searches import Searches
from services.coordinator.archive.terms import Term
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import LimitExceededError
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive", "query.sql")
BATCH_INSTANCES: Final = 1000
_FIRST: Final = (-(1 << 31), UUID(int=0))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which instances are wanted; what is empty restricts nothing."""

    study_instance_uids: tuple[str, ...] = ()
    series_instance_uids: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()
    patient_id: str = ""

    @property
    def matches(self) -> list[Match]:
        """The same as matching keys."""
        every = {
            "StudyInstanceUID": self.study_instance_uids,
            "SeriesInstanceUID": self.series_instance_uids,
            "SOPInstanceUID": self.sop_instance_uids,
            "PatientID": (self.patient_id,) if self.patient_id else (),
        }
        return [Match(keyword, AnyOf(values)) for keyword, values in every.items() if values]


@dataclass(frozen=True, slots=True)
class Located:
    """Where the bytes of an instance are.

    Attributes:
        number_of_frames: Zero when the instance does not say.
    """

    instance_id: str
    series_id: str
    study_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    blob: BlobRef


class Locator:
    """Locates instances. No connection is held while a batch is on its way to the caller."""

    def __init__(self, searches: Searches) -> None:
        self._searches = searches

    async def locate(self, wanted: Wanted) -> AsyncGenerator[list[Located], None]:
        """Yield instances in batches of at most 1,000, by series number, then instance number.

        Raises:
            LimitExceededError: More series than are located in one call, or too slow.
        """
        if wanted.sop_instance_uids:
            for batch in _batches(await self._by_uid(wanted)):
                yield batch
            return
        for group in _groups(await self._series(wanted)):
            if len(group) == 1:
                async for batch in self._pages(group[0]):
                    yield batch
            else:
                for batch in _batches(await self._in_series(group)):
                    yield batch

    async def _by_uid(self, wanted: Wanted) -> list[Located]:
        terms = await self._terms(wanted, Level.INSTANCE)
        statement, parameters = located_statement(terms)
        async with self._searches.statement() as borrowed:
            return [_located(row) for row in await borrowed.fetch(statement, *parameters)]

    async def _series(self, wanted: Wanted) -> list[tuple[UUID, int]]:
        most = self._searches.bounds.series
        terms = await self._terms(wanted, Level.SERIES)
        statement, parameters = series_statement(terms, most + 1)
        async with self._searches.statement() as borrowed:
            rows = await borrowed.fetch(statement, *parameters)
        if len(rows) > most:
            raise LimitExceededError("located_series")
        return [(row["series_id"], row["instance_count"]) for row in rows]

    async def _terms(self, wanted: Wanted, level: Level) -> list[Term]:
        linked = await linked_patients(self._searches, wanted.matches)
        return terms_of(wanted.matches, level, linked=linked)

    async def _in_series(self, series_ids: Sequence[UUID]) -> list[Located]:
        async with self._searches.statement() as borrowed:
            rows = await borrowed.fetch(_QUERIES["locate_in_series"], series_ids)
        return [_located(row) for row in rows]

    async def _pages(self, series_id: UUID) -> AsyncGenerator[list[Located], None]:
        for query in ("locate_numbered", "locate_unnumbered"):
            number, after = _FIRST
            rows: list[asyncpg.Record] | None = None
            while rows is None or len(rows) == BATCH_INSTANCES:
                async with self._searches.statement() as borrowed:
                    rows = await borrowed.fetch(
                        _QUERIES[query], series_id, number, after, BATCH_INSTANCES
                    )
                if rows:
                    yield [_located(row) for row in rows]
                    number, after = rows[-1]["instance_number"] or 0, rows[-1]["instance_id"]


def _groups(series: Sequence[tuple[UUID, int]]) -> Iterator[list[UUID]]:
    """Put small series that follow each other together; their order stays."""
    group: list[UUID] = []
    total = 0
    for series_id, count in series:
        if group and total + count > BATCH_INSTANCES:
            yield group
            group, total = [], 0
        group.append(series_id)
        total += count
    if group:
        yield group


def _batches(found: Sequence[Located]) -> Iterator[list[Located]]:
    for start in range(0, len(found), BATCH_INSTANCES):
        yield list(found[start : start + BATCH_INSTANCES])


def _located(row: asyncpg.Record) -> Located:
    syntax, frames = row["transfer_syntax_uid"], row["number_of_frames"]
    if row["attributes"] is not None:
        sent = InstanceAttributes.FromString(row["attributes"])
        syntax, frames = sent.transfer_syntax_uid, sent.number_of_frames
    return Located(
        instance_id=str(row["instance_id"]),
        series_id=str(row["series_id"]),
        study_id=str(row["study_id"]),
        study_instance_uid=row["study_instance_uid"],
        series_instance_uid=row["series_instance_uid"],
        sop_instance_uid=row["sop_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        transfer_syntax_uid=syntax,
        number_of_frames=max(frames or 0, 0),
        blob=BlobRef(row["sha256"], row["size_bytes"], DICOM_MEDIA_TYPE),
    )

"""Fills columns of rows that an earlier version wrote, a few at a time, beside all else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import asyncpg

from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.rows import columns
from services.coordinator.archive.words import name_key
from services.coordinator.workflow.patience import keep_going
from services.runtime.postgres import Pool, transaction
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive", "query.sql")
_BATCH: Final = 500
_PAUSE_S: Final = 0.05
# A coordinator of an earlier version may still write beside this one.
_LOOK_AGAIN_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Filling:
    unfilled: str
    fill: str
    values: Callable[[asyncpg.Record], tuple[object, ...]]


class Backfill:
    """Fills in what rows of before lack."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self) -> None:
        """Fill until cancelled."""
        await keep_going("backfill", self._look)

    async def fill(self) -> int:
        """Fill a batch of each table and return how many rows that were."""
        return sum([await self._fill(one) for one in _FILLINGS])

    async def _look(self) -> None:
        filled = await self.fill()
        await asyncio.sleep(_PAUSE_S if filled else _LOOK_AGAIN_S)

    async def _fill(self, filling: _Filling) -> int:
        async with transaction(self._pool) as borrowed:
            rows = await borrowed.fetch(_QUERIES[filling.unfilled], _BATCH)
            if rows:
                values = [filling.values(row) for row in rows]
                await borrowed.execute(_QUERIES[filling.fill], *columns(values))
        return len(rows)


def _study(row: asyncpg.Record) -> tuple[object, ...]:
    names = row["patient_name"], row["referring_physician_name"]
    return (row["study_id"], *map(name_key, names))


def _series(row: asyncpg.Record) -> tuple[object, ...]:
    sent = InstanceAttributes.FromString(row["attributes"] or b"")
    return (
        row["series_id"],
        sent.protocol_name,
        sent.station_name,
        sent.series_date,
        sent.series_time,
        sent.performed_procedure_step_start_date,
        sent.performed_procedure_step_start_time,
    )


def _instance(row: asyncpg.Record) -> tuple[object, ...]:
    sent = InstanceAttributes.FromString(row["attributes"])
    return row["instance_id"], sent.transfer_syntax_uid, sent.number_of_frames


_FILLINGS: Final = (
    _Filling("unfilled_studies", "fill_studies", _study),
    _Filling("unfilled_series", "fill_series", _series),
    _Filling("unfilled_instances", "fill_instances", _instance),
)

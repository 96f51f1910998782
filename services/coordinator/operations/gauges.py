"""The state of the work, for Prometheus; looked up when it asks, at most once in five seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import asyncpg
from prometheus_client import Gauge

from services.coordinator.archive.study import StudyState
from services.coordinator.operations.remembered import Remembered
from services.coordinator.sources.source import Kind
from services.coordinator.workflow.stages import StageKind, StageState
from services.runtime.metrics import OTHER, REGISTRY
from services.runtime.postgres import Pool, connection
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.operations")
STUDIES: Final = Gauge("heimdallr_studies", "Studies by state.", ["state"], registry=REGISTRY)
STAGES: Final = Gauge(
    "heimdallr_stages",
    "Stages that are not settled, by state and kind.",
    ["state", "stage"],
    registry=REGISTRY,
)
SOURCES: Final = Gauge(
    "heimdallr_sources",
    "Sources that studies are fetched from, by kind and by how their last turn ended.",
    ["kind", "health"],
    registry=REGISTRY,
)
QUEUE_DEPTH: Final = Gauge(
    "heimdallr_queue_depth", "Stages that could be begun now.", registry=REGISTRY
)
QUEUE_AGE: Final = Gauge(
    "heimdallr_queue_oldest_seconds",
    "How long the stage that waits longest has been able to begin; 0 when none waits.",
    registry=REGISTRY,
)

_PERIOD_S: Final = 5.0
_STUDY_STATES: Final = tuple(state.value for state in StudyState)
_OPEN_STATES: Final = tuple(
    state.value for state in (StageState.PENDING, StageState.RUNNING, StageState.HELD)
)
_KINDS: Final = tuple(kind.value for kind in StageKind)
_HEALTH: Final = ("healthy", "failing", "paused")


class WorkGauges:
    """Sets the gauges of the work.

    Args:
        pool: Pool of the database.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._remembered = Remembered(self._look, _PERIOD_S)

    async def gather(self) -> None:
        """Look the figures up; while the database is away there are none, rather than old ones."""
        try:
            await self._remembered.get()
        except BaseException:
            STUDIES.clear()
            STAGES.clear()
            SOURCES.clear()
            for gauge in (QUEUE_DEPTH, QUEUE_AGE):
                gauge.set(float("nan"))
            raise

    async def _look(self) -> None:
        async with connection(self._pool) as borrowed:
            studies = await borrowed.fetch(QUERIES["studies_by_state"])
            stages = await borrowed.fetch(QUERIES["open_stages"])
            sources = await borrowed.fetch(QUERIES["sources_by_health"])
            queue = await borrowed.fetchrow(QUERIES["queue"])
        _set_studies({row["state"]: row["count"] for row in studies})
        _set_stages(stages)
        _set_sources(sources)
        QUEUE_DEPTH.set(0 if queue is None else queue["depth"])
        QUEUE_AGE.set(0 if queue is None else queue["oldest_s"])


def _set_studies(counts: Mapping[str, int]) -> None:
    for state in _STUDY_STATES:
        STUDIES.labels(state).set(counts.get(state, 0))


def _set_stages(rows: Iterable[asyncpg.Record]) -> None:
    counts = {(state, kind): 0 for state in _OPEN_STATES for kind in (*_KINDS, OTHER)}
    for row in rows:
        kind = row["kind"] if row["kind"] in _KINDS else OTHER
        counts[row["state"], kind] += row["count"]
    for (state, kind), count in counts.items():
        STAGES.labels(state, kind).set(count)


def _set_sources(rows: Iterable[asyncpg.Record]) -> None:
    counts = {(kind.value, health): 0 for kind in Kind for health in _HEALTH}
    counts |= {(row["kind"], row["health"]): row["count"] for row in rows}
    for (kind, health), count in counts.items():
        SOURCES.labels(kind, health).set(count)

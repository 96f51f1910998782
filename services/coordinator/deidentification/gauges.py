"""What stands of de-identified objects, for Prometheus; looked up at most once a minute."""

from __future__ import annotations

from typing import Final

from prometheus_client import Gauge

from services.coordinator.deidentification.objects import ObjectState
from services.coordinator.deidentification.project_store import QUERIES
from services.coordinator.operations.remembered import Remembered
from services.runtime.metrics import REGISTRY
from services.runtime.postgres import Pool, connection

OBJECTS: Final = Gauge(
    "heimdallr_deidentified_objects",
    "Objects of the archive that were de-identified, by what stands of them (released, held, "
    "approved, rejected), once for each project.",
    ["state"],
    registry=REGISTRY,
)
_PERIOD_S: Final = 60.0


class DeidGauges:
    """Sets the gauges of de-identification.

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
            OBJECTS.clear()
            raise

    async def _look(self) -> None:
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(QUERIES["count_states"])
        for state in ObjectState:
            OBJECTS.labels(state.value).set(0 if row is None else row[state.value])

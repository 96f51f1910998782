"""What is measured of de-identification."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

from services.runtime.metrics import REGISTRY, WORK_BUCKETS, from_zero

DEID_OBJECTS: Final = Counter(
    "heimdallr_deid_objects",
    "Objects that were de-identified, by door (series, stream) and outcome (released, held).",
    ["door", "outcome"],
    registry=REGISTRY,
)
DEID_SERIES_SECONDS: Final = Histogram(
    "heimdallr_deid_series_seconds",
    "Time of de-identifying a series once it has a place.",
    buckets=WORK_BUCKETS,
    registry=REGISTRY,
)

from_zero(DEID_OBJECTS, ("series", "stream"), ("released", "held"))

"""What is measured of reports."""

from __future__ import annotations

from typing import Final

from prometheus_client import Histogram

from services.runtime.metrics import REGISTRY, WORK_BUCKETS

REPORT_SECONDS: Final = Histogram(
    "heimdallr_report_seconds",
    "Time to compose a report once it has a place.",
    buckets=WORK_BUCKETS,
    registry=REGISTRY,
)

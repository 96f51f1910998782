"""What is counted and measured of DICOMweb; addresses appear as names of routes alone."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from services.runtime.metrics import REGISTRY

REQUEST_SECONDS: Final = Histogram(
    "heimdallr_dicomweb_request_seconds",
    "Time of DICOMweb requests to their last byte, by route and class of status (2xx, 4xx, 5xx).",
    ["route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120),
    registry=REGISTRY,
)
CACHE_ASKED: Final = Counter(
    "heimdallr_dicomweb_cache",
    "Questions to the cache, by kind (picture, metadata) and outcome (hit, miss).",
    ["kind", "outcome"],
    registry=REGISTRY,
)
CACHE_BYTES: Final = Gauge(
    "heimdallr_dicomweb_cache_bytes", "What the cache holds.", registry=REGISTRY
)
CACHE_LIMIT_BYTES: Final = Gauge(
    "heimdallr_dicomweb_cache_limit_bytes", "The most that it may hold.", registry=REGISTRY
)

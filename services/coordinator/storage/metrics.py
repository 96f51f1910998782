"""What looking after the blob store counts."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

from services.runtime.metrics import REGISTRY, from_zero

SET_ASIDE_BYTES: Final = Counter(
    "heimdallr_garbage_set_aside_bytes",
    "Bytes that nothing named and that were set aside.",
    registry=REGISTRY,
)
DELETED_BYTES: Final = Counter(
    "heimdallr_garbage_deleted_bytes",
    "Bytes that were deleted after they had been set aside.",
    registry=REGISTRY,
)
RESTORED: Final = Counter(
    "heimdallr_garbage_restored",
    "Blobs that were set aside and put back, because something named them.",
    registry=REGISTRY,
)
SCRUBBED_BYTES: Final = Counter(
    "heimdallr_scrubbed_bytes", "Bytes that scrubs read again.", registry=REGISTRY
)
DAMAGE_FOUND: Final = Counter(
    "heimdallr_damage_found",
    "Blobs that a scrub found corrupt or missing.",
    ["kind"],
    registry=REGISTRY,
)
DAMAGED: Final = Gauge(
    "heimdallr_damaged_blobs",
    "Blobs that were corrupt or missing when they were last read.",
    registry=REGISTRY,
)

from_zero(DAMAGE_FOUND, ("corrupt", "missing"))

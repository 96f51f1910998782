"""What is counted and measured of attempts."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import Counter, Histogram

from services.coordinator.workflow.stages import Stage, StageKind
from services.runtime.metrics import REGISTRY, WORK_BUCKETS, from_zero

STAGE_SECONDS: Final = Histogram(
    "heimdallr_stage_seconds",
    "Time of attempts, by kind of stage.",
    ["stage"],
    buckets=WORK_BUCKETS,
    registry=REGISTRY,
)
STAGE_ATTEMPTS: Final = Counter(
    "heimdallr_stage_attempts",
    "Attempts that ended, by kind of stage and outcome (done, refused, retried, held, fenced, "
    "given_back, fault).",
    ["stage", "outcome"],
    registry=REGISTRY,
)

from_zero(
    STAGE_ATTEMPTS,
    (kind.value for kind in StageKind),
    ("done", "refused", "retried", "held", "fenced", "given_back", "fault"),
)


class AttemptClock:
    """Measures one attempt and counts its outcome, the first that is said."""

    def __init__(self, stage: Stage) -> None:
        self._kind = stage.kind.value
        self._begin = time.monotonic()
        self._ended = False

    def end(self, outcome: str) -> None:
        """Say how it ended, by a constant."""
        if self._ended:
            return
        self._ended = True
        STAGE_SECONDS.labels(self._kind).observe(time.monotonic() - self._begin)
        STAGE_ATTEMPTS.labels(self._kind, outcome).inc()

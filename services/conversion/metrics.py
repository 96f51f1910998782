"""What is measured of conversions."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Literal, Self

from prometheus_client import Histogram

from services.runtime.metrics import REGISTRY, WORK_BUCKETS

CONVERSION_SECONDS: Final = Histogram(
    "heimdallr_conversion_seconds",
    "Time of work on a series once it has a place, by step (describe, convert) and outcome (done, "
    "refused, failed).",
    ["step", "outcome"],
    buckets=WORK_BUCKETS,
    registry=REGISTRY,
)


class StepClock:
    """Measures one step about a series.

    Attributes:
        outcome: How it ended; failed unless said otherwise.
    """

    def __init__(self, step: Literal["describe", "convert"]) -> None:
        self._step = step
        self._begin = time.monotonic()
        self.outcome: Literal["done", "refused", "failed"] = "failed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        seconds = time.monotonic() - self._begin
        CONVERSION_SECONDS.labels(self._step, self.outcome).observe(seconds)

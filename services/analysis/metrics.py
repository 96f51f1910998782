"""What is counted and measured of models."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from prometheus_client import Gauge, Histogram

from services.analysis.errors import (
    ModelOutputInvalidError,
    ModelRefusedError,
    ModelUnavailableError,
)
from services.runtime.metrics import REGISTRY, WORK_BUCKETS
from services.runtime.metrics_endpoint import Gather

MODELS: Final = Gauge(
    "heimdallr_models",
    "Models that are registered, by whether they can run now (available, unavailable).",
    ["state"],
    registry=REGISTRY,
)
INFERENCE_SECONDS: Final = Histogram(
    "heimdallr_inference_seconds",
    "Time of runs of a model, by outcome (ok, refused, invalid, unavailable, cut_off).",
    ["outcome"],
    buckets=WORK_BUCKETS,
    registry=REGISTRY,
)


class Readiness(Protocol):
    """Whoever knows which models can run."""

    def is_ready(self, model: str) -> Awaitable[bool]:
        """Return whether a model could be run now, without loading it."""
        ...


@contextmanager
def inference() -> Iterator[None]:
    """Measure a run of a model."""
    begin, outcome = time.monotonic(), "cut_off"
    try:
        yield
        outcome = "ok"
    except ModelRefusedError:
        outcome = "refused"
        raise
    except ModelOutputInvalidError:
        outcome = "invalid"
        raise
    except ModelUnavailableError:
        outcome = "unavailable"
        raise
    finally:
        INFERENCE_SECONDS.labels(outcome).observe(time.monotonic() - begin)


def models_gather(readiness: Readiness, model: str) -> Gather:
    """Return what looks up whether the model can run."""

    async def gather() -> None:
        ready = await readiness.is_ready(model)
        MODELS.labels("available").set(int(ready))
        MODELS.labels("unavailable").set(int(not ready))

    return gather

"""What every process counts and measures, for Prometheus.

A label takes its values from a closed vocabulary of ours, never from a peer or an image: methods
that are registered, status codes, states. So no label can name a patient, and none can grow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

REGISTRY: Final = CollectorRegistry()
"""Everything that this process exports."""

OTHER: Final = "other"
"""Stands for a value that is not in a label's vocabulary."""

CALL_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
WORK_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 1280)
DISK_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2)

_ALARMING: Final = ("OK", "INTERNAL")


def from_zero(metric: Counter | Histogram, *vocabularies: Iterable[str]) -> None:
    """Export every combination of label values from the start.

    Prometheus sees no growth in a series that appears with its first event, and a sum with a part
    that is absent is absent as well: an alert would miss what it waits for.
    """
    for values in itertools.product(*vocabularies):
        metric.labels(*values)


# When a counter was made is one more series for each, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]
ProcessCollector(registry=REGISTRY)
Gauge("heimdallr_build", "The version that runs; always 1.", ["version"], registry=REGISTRY).labels(
    metadata.version("heimdallr")
).set(1)

SERVER_CALLS: Final = Counter(
    "heimdallr_grpc_server_calls",
    "Calls that ended, by method and status code.",
    ["method", "code"],
    registry=REGISTRY,
)
SERVER_SECONDS: Final = Histogram(
    "heimdallr_grpc_server_call_seconds",
    "Time of calls with one answer.",
    ["method"],
    buckets=CALL_BUCKETS,
    registry=REGISTRY,
)
SERVER_IN_FLIGHT: Final = Gauge(
    "heimdallr_grpc_server_calls_in_flight",
    "Calls that are being served, by whether they have one answer or a stream of them.",
    ["kind"],
    registry=REGISTRY,
)
CLIENT_CALLS: Final = Counter(
    "heimdallr_grpc_client_calls",
    "Calls to other services that ended, by method and status code.",
    ["method", "code"],
    registry=REGISTRY,
)
SIGN_INS: Final = Counter(
    "heimdallr_sign_ins",
    "Attempts to sign in, by way (link, password) and outcome (accepted, refused).",
    ["way", "outcome"],
    registry=REGISTRY,
)
DENIALS: Final = Counter(
    "heimdallr_denials",
    "Calls that were denied, for want of a good token or of a permission.",
    ["reason"],
    registry=REGISTRY,
)
BLOB_BYTES: Final = Counter(
    "heimdallr_blob_bytes",
    "Bytes that went into the blob store or came out of it.",
    ["direction"],
    registry=REGISTRY,
)
BLOB_OPERATIONS: Final = Counter(
    "heimdallr_blob_operations",
    "Blobs or parts of blobs that went in or came out.",
    ["direction"],
    registry=REGISTRY,
)
BLOB_FLUSH_SECONDS: Final = Histogram(
    "heimdallr_blob_flush_seconds",
    "Time until the disk has the bytes of a blob (fdatasync).",
    buckets=DISK_BUCKETS,
    registry=REGISTRY,
)
DISK_FREE_BYTES: Final = Gauge(
    "heimdallr_blob_disk_free_bytes", "Room on the disk of the blob store.", registry=REGISTRY
)
DISK_WATERMARK_BYTES: Final = Gauge(
    "heimdallr_blob_disk_watermark_bytes",
    "Room below which nothing more is stored.",
    registry=REGISTRY,
)
DISK_LOW_BYTES: Final = Gauge(
    "heimdallr_blob_disk_low_bytes", "Room below which people are warned.", registry=REGISTRY
)
GATHERINGS: Final = Counter(
    "heimdallr_metrics_gatherings",
    "Figures that were looked up for a scrape, by outcome (found, failed).",
    ["outcome"],
    registry=REGISTRY,
)

from_zero(SIGN_INS, ("link", "password"), ("accepted", "refused"))
from_zero(DENIALS, ("unauthenticated", "permission_denied"))
from_zero(BLOB_BYTES, ("in", "out"))
from_zero(BLOB_OPERATIONS, ("in", "out"))
from_zero(GATHERINGS, ("found", "failed"))


def expect_calls(method: str) -> None:
    """Export a method that is registered before it is called."""
    from_zero(SERVER_CALLS, (method,), _ALARMING)


_BYTES_IN, _BLOBS_IN = BLOB_BYTES.labels("in"), BLOB_OPERATIONS.labels("in")


def went_in(size_bytes: int) -> None:
    """Count a blob that was stored."""
    _BYTES_IN.inc(size_bytes)
    _BLOBS_IN.inc()


def came_out(size_bytes: int) -> None:
    """Count a blob, or a part of one, that was read."""
    BLOB_BYTES.labels("out").inc(size_bytes)
    BLOB_OPERATIONS.labels("out").inc()


def count_client_call(method: str, call: Any) -> None:
    """Count a call of `grpc.aio` that is done."""
    CLIENT_CALLS.labels(method, _code_of(call)).inc()


def _code_of(call: Any) -> str:
    # Asking for the code is a coroutine, which does not wait once the call is done.
    asking = call.code()
    try:
        asking.send(None)
    except StopIteration as answer:
        return str(answer.value.name)
    finally:
        asking.close()
    return "UNKNOWN"

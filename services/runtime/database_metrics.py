"""What is counted and measured of a process's connections to PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import Counter, Gauge, Histogram

from services.runtime.metrics import CALL_BUCKETS, REGISTRY, from_zero

if TYPE_CHECKING:
    import asyncpg

CONNECTIONS: Final = Gauge(
    "heimdallr_database_connections",
    "Connections of this process, by state (idle, used).",
    ["state"],
    registry=REGISTRY,
)
CONNECTIONS_LIMIT: Final = Gauge(
    "heimdallr_database_connections_limit",
    "Most connections that this process may have.",
    registry=REGISTRY,
)
WAIT_SECONDS: Final = Histogram(
    "heimdallr_database_wait_seconds",
    "Time until a connection was free.",
    buckets=CALL_BUCKETS,
    registry=REGISTRY,
)
QUERY_SECONDS: Final = Histogram(
    "heimdallr_database_query_seconds",
    "Time of statements, whatever they are.",
    buckets=CALL_BUCKETS,
    registry=REGISTRY,
)
QUERY_ERRORS: Final = Counter(
    "heimdallr_database_query_errors", "Statements that failed.", registry=REGISTRY
)
TRANSACTIONS: Final = Counter(
    "heimdallr_database_transactions",
    "Transactions that ended, by outcome (committed, rolled_back).",
    ["outcome"],
    registry=REGISTRY,
)

from_zero(TRANSACTIONS, ("committed", "rolled_back"))


@contextmanager
def waiting() -> Iterator[None]:
    """Measure how long a connection is waited for."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        WAIT_SECONDS.observe(time.perf_counter() - begin)


@contextmanager
def transaction_ends() -> Iterator[None]:
    """Count how a transaction ends; goes around it, so that a failed commit is no commit."""
    outcome = "rolled_back"
    try:
        yield
        outcome = "committed"
    finally:
        TRANSACTIONS.labels(outcome).inc()


def note_query(query: Any) -> None:
    """Take what asyncpg tells of a statement that ended; its text and values are not looked at."""
    QUERY_SECONDS.observe(query.elapsed)
    if query.exception is not None:
        QUERY_ERRORS.inc()


def pool_gather(pool: asyncpg.Pool[Any]) -> Callable[[], Awaitable[None]]:
    """Return what looks up the size of a pool."""

    async def gather() -> None:
        idle = pool.get_idle_size()
        CONNECTIONS.labels("idle").set(idle)
        CONNECTIONS.labels("used").set(pool.get_size() - idle)
        CONNECTIONS_LIMIT.set(pool.get_max_size())

    return gather

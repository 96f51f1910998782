"""The work on a study that is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.workflow")


@dataclass(frozen=True, slots=True)
class WorkContents:
    """What the workflow has of a study.

    Attributes:
        result_count: Files of results.
        size_bytes: Their bytes.
        busy: Whether a stage waits or runs.
    """

    result_count: int
    size_bytes: int
    busy: bool


async def work_contents(connection: Connection, study_id: str) -> WorkContents:
    """Return what the workflow has of a study."""
    row = await connection.fetchrow(_QUERIES["work_contents"], study_id)
    return WorkContents(**dict(row.items())) if row is not None else WorkContents(0, 0, False)


async def delete_work(connection: Connection, study_id: str) -> None:
    """Take away stages, attempts, plans, results and manifests of a study that is locked.

    The study is still in the archive: what is kept by its UID goes too.

    A job that is still queued for one of its stages finds nothing and ends.
    """
    for name in _STEPS:
        await connection.execute(_QUERIES[name], study_id)


_STEPS: Final = (
    "delete_result_blobs",
    "delete_requested_analyses",
    "delete_manifests",
    "delete_confirmed_counts",
    "delete_plans",
    "delete_attempts",
    "delete_dependencies",
    "delete_stages",
)

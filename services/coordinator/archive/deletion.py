"""What a study consists of in the archive, and how it leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg

from services.runtime.postgres import Connection
from services.runtime.queries import load_queries

_QUERIES: Final = load_queries("services.coordinator.archive")


@dataclass(frozen=True, slots=True)
class StudyContents:
    """What the archive has of a study.

    Attributes:
        size_bytes: Bytes of its instances and conflicts.
        receiving: Whether instances are arriving.
    """

    series_count: int
    instance_count: int
    conflict_count: int
    size_bytes: int
    receiving: bool


async def study_contents(connection: Connection, study_id: str) -> StudyContents | None:
    """Return what the archive has of a study; None for no such study."""
    row = await connection.fetchrow(_QUERIES["study_contents"], study_id)
    return None if row is None else StudyContents(**dict(row.items()))


async def delete_study(connection: Connection, study_id: str) -> None:
    """Take a study out of the index, and its patient when no other study is theirs.

    The caller has locked the study (``ArchiveStore.lock_study``).
    """
    patient_id = await connection.fetchval(_QUERIES["patient_of_study"], study_id)
    for name in _STEPS:
        await connection.execute(_QUERIES[name], study_id)
    try:
        async with connection.transaction():
            await connection.execute(_QUERIES["delete_lone_patient"], patient_id)
    except asyncpg.ForeignKeyViolationError:
        return  # a study of theirs is coming in just now, or a merge remembers them


_STEPS: Final = (
    "delete_conflicts",
    "delete_instances",
    "delete_series",
    "delete_associations",
    "delete_study",
)

"""Deletes studies: every package takes its rows away in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import asyncpg

from services.coordinator.archive.deletion import delete_study, study_contents
from services.coordinator.archive.errors import StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.events.outbox import EventDraft, EventType, append_event
from services.coordinator.retention.errors import StudyKeptError
from services.coordinator.workflow.deletion import delete_work, work_contents
from services.runtime.correlation import correlation_id
from services.runtime.errors import DependencyUnavailableError
from services.runtime.postgres import Connection, Pool, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.retention")
_ATTEMPTS: Final = 5

Forget = Callable[[Connection, str], Awaitable[None]]
"""Takes a package's rows of a study away, in the caller's transaction."""


class Keeper(StrEnum):
    """What keeps a study from being deleted."""

    HOLD = "hold"
    RECEIVING = "receiving"
    WORK = "work"


@dataclass(frozen=True, slots=True)
class Scope:
    """What goes with a study.

    Attributes:
        size_bytes: Bytes of instances, conflicts and results.
    """

    study_id: str
    series_count: int
    instance_count: int
    conflict_count: int
    result_count: int
    size_bytes: int


class Deletions:
    """Deletes studies whole or not at all.

    Args:
        pool: Pool of the database.
        archive: Locks studies.
        forget: Packages beside archive and workflow that keep something of a study.
    """

    def __init__(self, pool: Pool, archive: ArchiveStore, forget: Sequence[Forget] = ()) -> None:
        self._pool = pool
        self._archive = archive
        self._forget = forget

    async def preview(self, study_id: str) -> tuple[Scope, list[Keeper]]:
        """Return what would go, and what keeps it now.

        Raises:
            StudyNotFoundError: No such study.
        """
        async with transaction(self._pool) as connection:
            return await _look(connection, study_id)

    async def delete(self, study_id: str, *, subject: str, rule_name: str = "") -> Scope:
        """Delete a study and return what went.

        Args:
            study_id: The study.
            subject: Who does it.
            rule_name: The rule that does it; empty when a person does.

        Raises:
            StudyNotFoundError: No such study.
            StudyKeptError: Something keeps it.
            DependencyUnavailableError: The database cannot be reached or is overloaded.
        """
        for _ in range(_ATTEMPTS):
            try:
                return await self._delete(study_id, subject, rule_name)
            except asyncpg.DeadlockDetectedError:
                continue
        raise DependencyUnavailableError("postgres")

    async def _delete(self, study_id: str, subject: str, rule_name: str) -> Scope:
        async with transaction(self._pool) as connection:
            locked = await self._archive.lock_study(connection, study_id)
            if locked is None:
                raise StudyNotFoundError(study_id)
            scope, keepers = await _look(connection, study_id)
            if keepers:
                raise StudyKeptError(keepers[0].value)
            for forget in (delete_work, *self._forget, delete_study):
                await forget(connection, study_id)
            await connection.execute(
                QUERIES["note_deletion"],
                study_id,
                rule_name,
                subject,
                scope.instance_count,
                scope.size_bytes,
            )
            await append_event(
                connection,
                EventDraft(
                    EventType.STUDY_DELETED,
                    study_id,
                    generation=locked[0],
                    correlation_id=correlation_id(),
                ),
            )
        return scope


async def _look(connection: Connection, study_id: str) -> tuple[Scope, list[Keeper]]:
    archived = await study_contents(connection, study_id)
    if archived is None:
        raise StudyNotFoundError(study_id)
    work = await work_contents(connection, study_id)
    held: bool = await connection.fetchval(QUERIES["is_held"], study_id)
    scope = Scope(
        study_id,
        archived.series_count,
        archived.instance_count,
        archived.conflict_count,
        work.result_count,
        archived.size_bytes + work.size_bytes,
    )
    reasons = {
        Keeper.HOLD: held,
        Keeper.RECEIVING: archived.receiving,
        Keeper.WORK: work.busy,
    }
    return scope, [keeper for keeper, keeps in reasons.items() if keeps]

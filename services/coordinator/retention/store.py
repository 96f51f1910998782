"""Rules and holds as rows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import asyncpg

from services.coordinator.archive.errors import StudyNotFoundError
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.retention.deletions import QUERIES
from services.coordinator.retention.rule import AgeBasis, Hold, Rule, RuleReach, RuleRecord
from services.runtime.postgres import Pool, connection, transaction

MAX_HOLDS: Final = 1000
_APPLY_RULES: Final = "apply_rules"
_REACH_TIMEOUT_MS: Final = 25_000


class RetentionStore:
    """Reads and changes rules and holds.

    Args:
        pool: Pool of the database.
        archive: Locks studies.
    """

    def __init__(self, pool: Pool, archive: ArchiveStore) -> None:
        self._pool = pool
        self._archive = archive

    async def hold(self, study_id: str, reason: str, subject: str) -> Hold:
        """Keep a study; the latest reason stays.

        Raises:
            StudyNotFoundError: No such study.
        """
        async with transaction(self._pool) as borrowed:
            # Not beside a deletion: a hold that was granted holds.
            if await self._archive.lock_study(borrowed, study_id) is None:
                raise StudyNotFoundError(study_id)
            row = await borrowed.fetchrow(QUERIES["hold_study"], study_id, reason, subject)
        assert row is not None  # noqa: S101 -- an upsert returns its row
        return Hold(**dict(row.items()))

    async def release(self, study_id: str) -> None:
        """Let a study go."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["release_study"], study_id)

    async def holds(self) -> list[Hold]:
        """Return the studies that are kept, the latest first."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["holds"], MAX_HOLDS)
        return [Hold(**dict(row.items())) for row in rows]

    async def set_rule(self, rule: Rule) -> RuleRecord:
        """Make or replace a rule."""
        async with connection(self._pool) as borrowed:
            row = await borrowed.fetchrow(
                QUERIES["set_rule"], rule.name, *_criteria(rule), rule.enabled
            )
        assert row is not None  # noqa: S101 -- an upsert returns its row
        return _record(row)

    async def delete_rule(self, name: str) -> None:
        """Forget a rule."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["delete_rule"], name)

    async def rules(self) -> list[RuleRecord]:
        """Return every rule by name."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["rules"])
        return [_record(row) for row in rows]

    async def reach(self, rule: Rule) -> RuleReach:
        """Return what a rule would delete now."""
        async with transaction(self._pool) as borrowed:
            await borrowed.execute(f"SET LOCAL statement_timeout TO {_REACH_TIMEOUT_MS}")
            row = await borrowed.fetchrow(QUERIES["rule_reach"], *_criteria(rule))
        assert row is not None  # noqa: S101 -- an aggregate returns a row
        return RuleReach(**dict(row.items()))

    async def due(self, rule: Rule, limit: int) -> list[str]:
        """Return studies that a rule deletes now, the oldest first."""
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(QUERIES["due_studies"], *_criteria(rule), limit)
        return [row["study_id"] for row in rows]

    async def note_application(self, name: str, deleted: int) -> None:
        """Remember that a rule was applied."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["note_application"], name, deleted)

    async def take_turn(self, every: timedelta) -> bool:
        """Return whether this coordinator applies the rules now; no other does for a while."""
        async with connection(self._pool) as borrowed:
            await borrowed.execute(QUERIES["plan_task"], _APPLY_RULES)
            return bool(await borrowed.fetchval(QUERIES["take_turn"], _APPLY_RULES, every))


def _criteria(rule: Rule) -> tuple[Any, ...]:
    return list(rule.modalities), rule.age_basis.value, rule.age_days


def _record(row: asyncpg.Record) -> RuleRecord:
    return RuleRecord(
        rule=Rule(
            name=row["name"],
            modalities=tuple(row["modalities"]),
            age_basis=AgeBasis(row["age_basis"]),
            age_days=row["age_days"],
            enabled=row["enabled"],
        ),
        update_time=row["update_time"],
        apply_time=row["apply_time"],
        deleted_count=row["deleted_count"],
    )

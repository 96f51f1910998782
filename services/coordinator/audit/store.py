"""The rows of the audit trail. Statements here add and read; none changes or removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.coordinator.audit.errors import UnknownEntryError
from services.runtime.audit import AuditEntry, AuditOutcome
from services.runtime.postgres import Connection, Pool, connection, transaction
from services.runtime.queries import load_queries

QUERIES: Final = load_queries("services.coordinator.audit")
_PREFIX: Final = "AUDIT_ACTION_"


@dataclass(frozen=True, slots=True)
class AuditedCall:
    """An entry with its outcome; none while the call runs and after a crash."""

    entry: AuditEntry
    outcome: AuditOutcome | None


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls to list; None lets all pass."""

    subject: str | None = None
    action: AuditAction.ValueType | None = None
    object_id: str | None = None


class PostgresAuditTrail:
    """An ``AuditTrail`` in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, entry: AuditEntry) -> None:
        """See ``AuditTrail``."""
        async with connection(self._pool) as borrowed:
            await _insert_entry(borrowed, entry)

    async def deny(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        """See ``AuditTrail``."""
        async with transaction(self._pool) as borrowed:
            await _insert_entry(borrowed, entry)
            await _insert_outcome(borrowed, entry.entry_id, outcome)

    async def end(self, entry_id: str, outcome: AuditOutcome) -> None:
        """See ``AuditTrail``.

        Raises:
            UnknownEntryError: No such entry is kept.
        """
        async with connection(self._pool) as borrowed:
            try:
                await _insert_outcome(borrowed, entry_id, outcome)
            except asyncpg.ForeignKeyViolationError:
                raise UnknownEntryError from None

    async def list_calls(
        self, wanted: CallFilter, before_id: str | None, limit: int
    ) -> list[AuditedCall]:
        """Return calls, newest first, beginning before one entry."""
        action = _action_name(wanted.action) if wanted.action is not None else None
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(
                QUERIES["list_calls"], before_id, wanted.subject, action, wanted.object_id, limit
            )
        return [_call(row) for row in rows]


async def _insert_entry(borrowed: Connection, entry: AuditEntry) -> None:
    await borrowed.execute(
        QUERIES["insert_entry"],
        entry.entry_id,
        entry.begin_time,
        entry.subject,
        entry.method,
        _action_name(entry.action),
        entry.service,
        entry.correlation_id,
        entry.object_id or None,
    )


async def _insert_outcome(borrowed: Connection, entry_id: str, outcome: AuditOutcome) -> None:
    await borrowed.execute(
        QUERIES["insert_outcome"], entry_id, outcome.end_time, outcome.code, outcome.reason
    )


def _action_name(action: AuditAction.ValueType) -> str:
    return AuditAction.Name(action).removeprefix(_PREFIX).lower()


def _call(row: asyncpg.Record) -> AuditedCall:
    entry = AuditEntry(
        entry_id=str(row["entry_id"]),
        begin_time=row["begin_time"],
        subject=row["subject"],
        method=row["method"],
        action=AuditAction.Value(f"{_PREFIX}{row['action'].upper()}"),
        service=row["service"],
        correlation_id=row["correlation_id"],
        object_id=str(row["object_id"] or ""),
    )
    if row["code"] is None:
        return AuditedCall(entry, None)
    return AuditedCall(entry, AuditOutcome(row["end_time"], row["code"], row["reason"]))

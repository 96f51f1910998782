"""The snapshot of each schema is what the migrations make."""

from __future__ import annotations

from importlib import resources

import asyncpg
import pytest

from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres

_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity
FROM information_schema.columns WHERE table_schema = $1 AND table_name <> 'migration'
"""
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = $1 AND tablename <> 'migration'
"""
_CONSTRAINTS = """
SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = $1::regnamespace AND conrelid::regclass::text NOT LIKE '%.migration'
"""


async def _described(connection: Pool | asyncpg.Connection, schema: str) -> list[list[str]]:
    found = []
    for query in (_COLUMNS, _INDEXES, _CONSTRAINTS):
        rows = await connection.fetch(query, schema)
        found.append(sorted(str(tuple(row)) for row in rows))
    return found


@pytest.mark.parametrize(
    "name",
    [
        "archive",
        "events",
        "intake",
        "peers",
        "sources",
        "worklist",
        "retention",
        "storage",
        "deidentification",
        "crosswalk",
    ],
)
async def test_snapshot_and_migrations_agree(pool: Pool, name: str) -> None:
    package = f"services.coordinator.{name}"
    snapshot = resources.files(package).joinpath("schema.sql").read_text(encoding="utf-8")

    await pool.execute(snapshot)
    of_snapshot = await _described(pool, name)
    await pool.execute(f"DROP SCHEMA {name} CASCADE")
    await apply(pool, [package])
    of_migrations = await _described(pool, name)

    assert all(of_snapshot)
    assert of_migrations == of_snapshot

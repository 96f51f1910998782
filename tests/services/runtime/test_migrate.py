"""Tables follow the numbered files of their package."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.runtime.ids import new_id
from services.runtime.migrate import MigrationError, apply, migrations
from services.runtime.postgres import Pool

Write = Callable[[str, str], None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    parent = f"migrated_{new_id().replace('-', '')}"
    folder = tmp_path / parent / "thing"
    (folder / "migrations").mkdir(parents=True)
    (tmp_path / parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield f"{parent}.thing"
    for name in [name for name in sys.modules if name.startswith(parent)]:
        del sys.modules[name]


@pytest.fixture
def write(package: str, tmp_path: Path) -> Write:
    folder = tmp_path / package.replace(".", "/") / "migrations"

    def write_file(name: str, sql: str) -> None:
        (folder / name).write_text(sql)

    return write_file


@pytest.mark.postgres
async def test_files_are_applied_in_order_and_once(pool: Pool, package: str, write: Write) -> None:
    write("0001_table.sql", "CREATE TABLE thing.item (n integer);")
    write("0002_row.sql", "INSERT INTO thing.item VALUES (1); INSERT INTO thing.item VALUES (2);")

    assert await apply(pool, [package]) == 2
    assert await apply(pool, [package]) == 0

    assert await pool.fetchval("SELECT count(*) FROM thing.item") == 2
    rows = await pool.fetch("SELECT version, name FROM thing.migration ORDER BY version")
    assert [tuple(row) for row in rows] == [(1, "table"), (2, "row")]


@pytest.mark.postgres
async def test_only_what_is_missing_is_applied(pool: Pool, package: str, write: Write) -> None:
    write("0001_table.sql", "CREATE TABLE thing.item (n integer);")
    await apply(pool, [package])
    write("0002_column.sql", "ALTER TABLE thing.item ADD COLUMN m integer;")

    assert await apply(pool, [package]) == 1


@pytest.mark.postgres
async def test_a_file_that_fails_leaves_nothing_behind(
    pool: Pool, package: str, write: Write
) -> None:
    write("0001_table.sql", "CREATE TABLE thing.item (n integer);")
    write("0002_bad.sql", "CREATE TABLE thing.half (n integer); SELECT 1/0;")

    with pytest.raises(Exception, match="division by zero"):
        await apply(pool, [package])

    assert await pool.fetchval("SELECT to_regclass('thing.half')") is None
    assert await pool.fetchval("SELECT count(*) FROM thing.migration") == 1


@pytest.mark.postgres
async def test_an_edited_file_is_refused(pool: Pool, package: str, write: Write) -> None:
    write("0001_table.sql", "CREATE TABLE thing.item (n integer);")
    await apply(pool, [package])
    write("0001_table.sql", "CREATE TABLE thing.item (n bigint);")

    with pytest.raises(MigrationError, match="edited"):
        await apply(pool, [package])


@pytest.mark.postgres
async def test_older_code_does_not_touch_newer_data(
    pool: Pool, package: str, write: Write, tmp_path: Path
) -> None:
    write("0001_table.sql", "CREATE TABLE thing.item (n integer);")
    write("0002_more.sql", "CREATE TABLE thing.more (n integer);")
    await apply(pool, [package])
    (tmp_path / package.replace(".", "/") / "migrations" / "0002_more.sql").unlink()

    with pytest.raises(MigrationError, match="newer"):
        await apply(pool, [package])


@pytest.mark.postgres
async def test_processes_that_start_at_once_do_not_collide(
    pool: Pool, package: str, write: Write
) -> None:
    write("0001_table.sql", "SELECT pg_sleep(0.1); CREATE TABLE thing.item (n integer);")

    counts = await asyncio.gather(*(apply(pool, [package]) for _ in range(3)))

    assert sorted(counts) == [0, 0, 1]


@pytest.mark.parametrize("name", ["1_short.sql", "0001-dash.sql", "0001_Upper.sql", "0003_gap.sql"])
def test_a_name_out_of_order_is_refused(package: str, write: Write, name: str) -> None:
    write(name, "SELECT 1;")

    with pytest.raises(MigrationError):
        migrations(package)


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["access", "audit"])
async def test_our_own_files_apply(pool: Pool, name: str) -> None:
    assert await apply(pool, [f"services.coordinator.{name}"]) > 0

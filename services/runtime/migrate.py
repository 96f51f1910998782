"""Brings the tables of a package to the state its code expects.

A package keeps numbered files ``migrations/0001_name.sql``; its tables live in a schema named like
the package. Files run in order, each in a transaction of its own that also writes the file's hash
down. A file that was applied is never edited, renamed or removed. Code must run both before and
after each file.

``python -m services.runtime.migrate services.coordinator.access`` reads the database's address from
``HEIMDALLR_DATABASE_DSN``.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime import logs
from services.runtime.postgres import Connection, Pool, connection, open_pool
from services.runtime.settings import load_settings

APPLIED: Final = "migration.applied"
_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK: Final = 0x4845494D44414C4C
_SCHEMA: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


class MigrationError(Exception):
    """The files and what was applied do not agree."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of the file's text."""
        return hashlib.sha256(self.sql.encode("utf-8")).hexdigest()


class DatabaseSettings(BaseSettings):
    """Address of the database, a secret because it may hold a password."""

    model_config = SettingsConfigDict(env_prefix="HEIMDALLR_DATABASE_", frozen=True)

    dsn: SecretStr


async def apply(pool: Pool, packages: Sequence[str]) -> int:
    """Apply what is missing in each package and return how many files were applied.

    Raises:
        MigrationError: A file was edited, is missing, or breaks the order.
        DependencyUnavailableError: The database cannot be reached.
    """
    applied = 0
    async with connection(pool) as borrowed:
        await borrowed.execute("SET statement_timeout = 0")
        await borrowed.execute("SELECT pg_advisory_lock($1)", _LOCK)
        try:
            for package in packages:
                applied += await _apply_package(borrowed, package)
        finally:
            await borrowed.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return applied


def migrations(package: str) -> list[Migration]:
    """Return the files of a package in order.

    Raises:
        MigrationError: Numbers do not run 1, 2, 3 ..., or a name has another form.
    """
    found: list[Migration] = []
    for file in resources.files(package).joinpath("migrations").iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{package}: {file.name} is no name of a migration")
        found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"{package}: migrations are not numbered 1, 2, 3 ...")
    return found


async def _apply_package(borrowed: Connection, package: str) -> int:
    schema = package.rpartition(".")[2]
    if not _SCHEMA.fullmatch(schema):
        raise MigrationError(f"{package}: {schema} is no name of a schema")
    files = migrations(package)
    await _prepare_schema(borrowed, schema)
    done = await _check_applied(borrowed, schema, files)
    for migration in files[done:]:
        async with borrowed.transaction():
            await borrowed.execute(migration.sql)
            await borrowed.execute(
                f"INSERT INTO {schema}.migration (version, name, sha256) VALUES ($1, $2, $3)",  # noqa: S608
                migration.version,
                migration.name,
                migration.sha256,
            )
        logs.get_logger().info(APPLIED, task=schema, count=migration.version)
    return len(files) - done


async def _prepare_schema(borrowed: Connection, schema: str) -> None:
    await borrowed.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    await borrowed.execute(
        f"CREATE TABLE IF NOT EXISTS {schema}.migration ("
        "version integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, "
        "applied_at timestamptz NOT NULL DEFAULT now())"
    )


async def _check_applied(borrowed: Connection, schema: str, files: list[Migration]) -> int:
    rows = await borrowed.fetch(
        f"SELECT version, name, sha256 FROM {schema}.migration ORDER BY version"  # noqa: S608
    )
    if len(rows) > len(files):
        raise MigrationError(f"{schema}: the data is newer than this program")
    for row, file in zip(rows, files, strict=False):
        if (row["version"], row["name"], row["sha256"]) != (file.version, file.name, file.sha256):
            raise MigrationError(f"{schema}: migration {file.version} was edited or renamed")
    return len(rows)


async def _main(packages: Sequence[str]) -> int:
    settings = load_settings(DatabaseSettings)
    pool = await open_pool(settings.dsn.get_secret_value(), application_name="migrate")
    try:
        await apply(pool, packages)
    except MigrationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        await pool.close()
    return 0


if __name__ == "__main__":
    logs.configure_logs("INFO", "migrate")
    raise SystemExit(asyncio.run(_main(sys.argv[1:])))

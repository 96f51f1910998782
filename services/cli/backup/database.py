"""The database as it was at one moment, written and read by PostgreSQL's own programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from services.cli.backup.snapshot import BackupError
from services.cli.stack.postgres import wheel_programs

_ENVIRON: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_NAMED: Final = """
SELECT sha256, max(size_bytes) AS size_bytes, min(media_type) AS media_type FROM (
    SELECT sha256, size_bytes, 'application/dicom' AS media_type FROM archive.instance
    UNION ALL SELECT sha256, size_bytes, 'application/dicom' FROM archive.conflict
    UNION ALL SELECT sha256, size_bytes, media_type FROM workflow.result_blob
) AS named GROUP BY sha256 ORDER BY sha256
"""
_COUNTS: Final = """
SELECT (SELECT count(*) FROM archive.study) AS studies,
       (SELECT count(*) FROM archive.instance) AS instances
"""
_NO_COLLECTION: Final = "SELECT pg_advisory_lock(hashtextextended('heimdallr.storage.collect', 0))"


class FrozenDatabase:
    """One moment of a database, for as long as its context lasts."""

    def __init__(self, dsn: str, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._dsn = dsn
        self._connection = connection

    async def counts(self) -> tuple[int, int]:
        """Return the numbers of studies and instances."""
        row = await self._connection.fetchrow(_COUNTS)
        return (row["studies"], row["instances"]) if row is not None else (0, 0)

    async def write_blobs(self, path: Path) -> tuple[int, int]:
        """Write the names of all blobs that rows name, a line each; their number and bytes."""
        count = size = 0
        with path.open("x") as file:
            async for row in self._connection.cursor(_NAMED, prefetch=2000):
                file.write(f"{row['sha256']} {row['size_bytes']} {row['media_type']}\n")
                count, size = count + 1, size + row["size_bytes"]
        return count, size

    async def dump(self, path: Path) -> None:
        """Write the whole database to a file.

        Raises:
            BackupError: pg_dump failed.
        """
        snapshot = await self._connection.fetchval("SELECT pg_export_snapshot()")
        await _run("pg_dump", self._dsn, f"--snapshot={snapshot}", "-Fc", "-Z1", f"--file={path}")


@asynccontextmanager
async def frozen(dsn: str) -> AsyncIterator[FrozenDatabase]:
    """Hold on to one moment of a database; no garbage is collected meanwhile.

    Raises:
        BackupError: The database cannot be reached.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=10, server_settings={"jit": "off"})
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise BackupError(f"the database cannot be reached: {type(error).__name__}") from None
    try:
        await connection.execute(_NO_COLLECTION)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield FrozenDatabase(dsn, connection)
    finally:
        await connection.close()


async def load(dsn: str, path: Path) -> None:
    """Fill an empty database from a dump.

    Raises:
        BackupError: pg_restore failed; what it had begun was rolled back.
    """
    await _run("pg_restore", dsn, "--no-owner", "--single-transaction", str(path))


async def is_empty(dsn: str) -> bool:
    """Return whether a database holds nothing of ours."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        found = await connection.fetchval("SELECT to_regnamespace('archive') IS NULL")
    finally:
        await connection.close()
    return bool(found)


def without_password(dsn: str) -> tuple[str, str]:
    """Return a DSN without its password, which others could read among the arguments, and that."""
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn, ""
    user, _, host = parts.netloc.rpartition("@")
    bare = parts._replace(netloc=f"{user.partition(':')[0]}@{host}")
    return urlunsplit(bare), unquote(parts.password)


async def _run(program: str, dsn: str, *arguments: str) -> None:
    path = wheel_programs() / "bin" / program
    bare, password = without_password(dsn)
    process = await asyncio.create_subprocess_exec(
        str(path),
        f"--dbname={bare}",
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**_ENVIRON, "PGPASSWORD": password} if password else _ENVIRON,
    )
    _, said = await process.communicate()
    if process.returncode:
        # The rest of what it said may hold values of rows.
        first = said.decode(errors="replace").splitlines()[:1]
        raise BackupError(f"{program} failed: {' '.join(first)[:200]}")

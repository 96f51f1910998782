from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import psutil
import pytest

from services.cli.stack import Stack
from services.cli.stack.accounts import Account, database_account
from services.cli.stack.errors import DatabaseVersionError, FolderError
from services.cli.stack.postgres import (
    check_cluster_version,
    clear_stale_lock,
    reachable_programs,
    server_version,
    wheel_programs,
)
from tests.support.stack import OUR_PROCESSES, data_folder, stack_settings

__all__ = ["data_folder"]

pytestmark = pytest.mark.postgres

_ONLY_POSTGRES = OUR_PROCESSES | {"envoy", "triton"}


async def test_a_committed_row_survives_the_kill_of_the_server(data_folder: Path) -> None:
    async with Stack(stack_settings(data_folder, _ONLY_POSTGRES)) as stack:
        await stack.ready(30)
        dsn = stack.addresses.database
        await _execute(dsn, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
        pid = stack.pid("postgres")
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        await _restarted(stack, pid)

        assert await _value(dsn, "SELECT n FROM t") == 7


async def test_data_is_there_after_a_stop_and_a_start(data_folder: Path) -> None:
    settings = stack_settings(data_folder, _ONLY_POSTGRES)
    async with Stack(settings) as stack:
        await stack.ready(30)
        await _execute(stack.addresses.database, "CREATE TABLE t (n int); INSERT INTO t VALUES (7)")

    async with Stack(settings) as stack:
        await stack.ready(30)

        assert await _value(stack.addresses.database, "SELECT n FROM t") == 7


async def test_the_server_syncs_what_it_acknowledges_and_listens_on_no_port(
    data_folder: Path,
) -> None:
    async with Stack(stack_settings(data_folder, _ONLY_POSTGRES)) as stack:
        await stack.ready(30)
        dsn = stack.addresses.database
        pid = stack.pid("postgres")
        assert pid is not None
        names = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")

        values = [await _value(dsn, f"SHOW {name}") for name in names]

        assert values == ["on"] * 4
        assert await _value(dsn, "SHOW server_encoding") == "UTF8"
        assert not [c for c in psutil.Process(pid).net_connections("inet") if c.status == "LISTEN"]
        assert stack.layout.postgres_socket.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's server runs as that user")
async def test_roots_server_runs_as_an_unprivileged_user(data_folder: Path) -> None:
    async with Stack(stack_settings(data_folder, _ONLY_POSTGRES)) as stack:
        await stack.ready(30)
        pid = stack.pid("postgres")
        assert pid is not None

        uids = psutil.Process(pid).uids()

        assert set(uids) == {_account().uid}
        assert stack.layout.postgres.stat().st_uid == _account().uid
        assert stack.layout.issuer_key.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
async def test_data_under_a_private_home_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    stack = Stack(stack_settings(home / "data", _ONLY_POSTGRES))

    with pytest.raises(FolderError, match=r"cannot enter .* --data"):
        await stack.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_programs_that_its_user_cannot_reach_are_copied_once(
    tmp_path: Path, data_folder: Path
) -> None:
    private = tmp_path / "venv"
    private.mkdir(mode=0o700)
    (private / "programs").symlink_to(wheel_programs())
    data_folder.chmod(0o711)

    copy = reachable_programs(private / "programs", data_folder, _account())

    assert copy.parent == data_folder
    assert server_version(copy) == server_version(wheel_programs())
    assert (copy / "share/postgresql").is_dir()
    assert not list(copy.rglob("*.a"))


def test_a_cluster_of_another_major_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("15\n")

    with pytest.raises(DatabaseVersionError, match="made by PostgreSQL 15"):
        check_cluster_version(tmp_path, "18.4")


def test_a_lock_that_names_a_stranger_is_removed(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n")

    removed = clear_stale_lock(tmp_path)

    assert removed
    assert not (tmp_path / "postmaster.pid").exists()


async def test_the_lock_of_a_running_server_stays(data_folder: Path) -> None:
    async with Stack(stack_settings(data_folder, _ONLY_POSTGRES)) as stack:
        await stack.ready(30)

        removed = clear_stale_lock(stack.layout.postgres / "cluster")

        assert not removed


def _account() -> Account:
    account = database_account()
    assert account is not None
    return account


async def _restarted(stack: Stack, dead: int) -> None:
    async with asyncio.timeout(30):
        while stack.pid("postgres") in {None, dead}:  # noqa: ASYNC110 - the supervisor changes it
            await asyncio.sleep(0.02)
    await stack.ready(30)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def _value(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    value = await connection.fetchval(query)
    await connection.close()
    return value

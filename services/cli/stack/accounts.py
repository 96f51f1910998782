"""The unprivileged system user as whom PostgreSQL runs when the supervisor is root."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.cli.stack.errors import FolderError, MissingPartError, StackError

USER: Final = "heimdallr"


@dataclass(frozen=True)
class Account:
    """A user and its primary group."""

    name: str
    uid: int
    gid: int


def database_account() -> Account | None:
    """Return the user for PostgreSQL, made if missing; ``None`` when we are not root.

    Raises:
        StackError: If the user is missing and cannot be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        _create_user()
        entry = pwd.getpwnam(USER)
    grp.getgrgid(entry.pw_gid)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_use(account: Account, path: Path) -> bool:
    """Say whether ``account`` can read, and enter or execute, ``path``."""
    argv = [*as_account(account), "test", "-r", str(path), "-a", "-x", str(path)]
    return subprocess.run(argv, check=False, capture_output=True, timeout=10).returncode == 0


def require_reachable(account: Account, folder: Path) -> None:
    """Check that ``account`` can pass through every folder above ``folder``.

    Raises:
        FolderError: If it cannot; names the folder that is closed.
    """
    for parent in reversed(folder.parents):
        argv = [*as_account(account), "test", "-x", str(parent)]
        if subprocess.run(argv, check=False, capture_output=True, timeout=10).returncode:
            raise FolderError(
                f"user {account.name} cannot enter {parent}, so PostgreSQL cannot run in {folder}:"
                " choose --data outside a private folder, such as /var/lib/heimdallr"
            )


def as_account(account: Account) -> list[str]:
    """Return the words that run what follows them as ``account``.

    Raises:
        MissingPartError: If setpriv is missing.
    """
    return [
        setpriv(),
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        "--clear-groups",
        "--",
    ]


def setpriv() -> str:
    """Return the path of setpriv, which sets user and death signal without a fork in Python.

    Raises:
        MissingPartError: If it is missing.
    """
    found = shutil.which("setpriv", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if found is None:
        raise MissingPartError("setpriv is missing: install util-linux")
    return found


def _create_user() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise StackError(f"PostgreSQL needs the system user {USER}, and useradd is missing")
    argv = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    done = subprocess.run([*argv, USER], check=False, capture_output=True, timeout=30)
    if done.returncode:
        raise StackError(f"the system user {USER} is missing and could not be made")

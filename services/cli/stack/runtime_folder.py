"""The private, short-named folder of sockets, and the folder of data."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.cli.stack.accounts import Account
from services.cli.stack.errors import AlreadyRunningError, FolderError
from services.cli.stack.layout import Layout, folder_tag

SOCKET_PATH_LIMIT: Final = 107
"""Bytes a Unix socket's path may have (``sockaddr_un.sun_path`` less its closing zero)."""

_LONGEST_NAME: Final = len("/coordinator-metrics.sock")


def choose_runtime_folder(data: Path, environ: Mapping[str, str], uid: int) -> Path:
    """Return the folder for the sockets of the stack that uses ``data``.

    Raises:
        FolderError: If no candidate leaves room for a socket's name.
    """
    name = f"heimdallr-{folder_tag(data)}"
    candidates = [parent / name for parent in _parents(environ, uid)]
    for candidate in candidates:
        if len(os.fsencode(candidate)) + _LONGEST_NAME < SOCKET_PATH_LIMIT:
            return candidate
    raise FolderError(f"the path {candidates[-1]} is too long for Unix sockets (107 bytes)")


def prepare_private_folder(folder: Path, account: Account | None = None) -> None:
    """Make a folder that only we may enter, or we and ``account``'s group, or refuse it.

    Raises:
        FolderError: If it exists as something else, belongs to another user, or others may
            write to it: whoever owns the folder owns every socket in it.
    """
    if not folder.exists() and not folder.is_symlink():
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise FolderError(f"{folder} is not a folder")
    if found.st_uid != os.geteuid():
        raise FolderError(f"{folder} belongs to another user; remove it or choose another --data")
    folder.chmod(0o710 if account else 0o700)
    if account:
        os.chown(folder, -1, account.gid)


def empty_folder(folder: Path) -> None:
    """Remove what an earlier run left in a folder of ours."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def lock_data_folder(layout: Layout) -> int:
    """Take the data folder for this process and return the descriptor that holds it.

    The kernel lets go when the process ends, however it ends.

    Raises:
        AlreadyRunningError: If another supervisor has it.
    """
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunningError(
            f"a stack already runs on {layout.data}: see `heimdallr status`, or give --data"
        ) from None
    return descriptor


def _parents(environ: Mapping[str, str], uid: int) -> list[Path]:
    # root's own runtime folder is closed to the database's user; /run is open and root's.
    private = Path("/run") if uid == 0 else Path(environ.get("XDG_RUNTIME_DIR") or "/nonexistent")
    temporary = Path("/tmp")  # noqa: S108 - the folder in it is checked to be ours and private
    writable = private.is_dir() and os.access(private, os.W_OK)
    return [private, temporary] if writable else [temporary]

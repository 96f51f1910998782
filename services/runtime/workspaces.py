"""Private temporary folders that are always removed, by the next start if not by this one."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOCK: Final = "lock"
_ATTEMPTS: Final = 5


class Workspaces:
    """Makes private folders below one of this process.

    The folder of the process is locked while it lives, so that a start can tell, and remove,
    what dead processes left behind without touching another replica's.

    Args:
        root: Folder on a local disk, made if absent.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        root = root.resolve()
        sweep(root)
        self._own = root / uuid.uuid4().hex
        self._own.mkdir(mode=0o700)
        self._lock = _locked(self._own)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make a folder and remove it, with all that is in it, at the end."""
        path = self._own / uuid.uuid4().hex
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            _remove(path)

    def close(self) -> None:
        """Remove the folder of this process."""
        shutil.rmtree(self._own, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def sweep(root: Path) -> int:
    """Remove the folders of processes that are dead; return how many there were."""
    removed = 0
    for folder in root.iterdir():
        if not folder.is_dir() or folder.is_symlink():
            continue
        lock = _locked(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            removed += 1
    return removed


def _remove(path: Path) -> None:
    # A thread of a cancelled call may still make a file while the folder is being emptied.
    for _ in range(_ATTEMPTS):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return


def _locked(folder: Path) -> int | None:
    """Take the lock of a folder; None while a living process holds it."""
    descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor

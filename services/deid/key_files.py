"""Files with the keys of projects: made once, durable, for their owner alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.deid.project_key import ProjectKey, as_text, from_text
from services.runtime.signing_key import write_private


def read_key(path: Path) -> ProjectKey:
    """Return the key in a file: in our form, or nothing but the bytes of one version.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidKeyError: It holds no key.
    """
    return from_text(path.read_bytes())


def make_key(path: Path) -> ProjectKey:
    """Make a file with a new key, mode 0600, durably, and return what the file holds.

    Of several processes that make it at once all return the one key that stays.

    Raises:
        InvalidKeyError: A file was there that holds no key.
    """
    with suppress(FileExistsError):
        write_private(path, as_text(ProjectKey.made()).encode("ascii"), replace=False)
    return read_key(path)


def add_version(path: Path) -> ProjectKey:
    """Add a version to the key in a file, durably, and return the key.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidKeyError: It holds no key.
    """
    with _locked(path.parent):
        rotated = read_key(path).rotated()
        write_private(path, as_text(rotated).encode("ascii"), replace=True)
    return rotated


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let nobody else add versions to keys of a folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

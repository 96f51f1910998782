"""POSIX shared memory regions with one owner, swept when the owner has died."""

from __future__ import annotations

import contextlib
import fcntl
import math
import mmap
import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

FOLDER: Final = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux
DEFAULT_PREFIX: Final = "heimdallr-analysis-"


class Region:
    """A region that lives as long as this object and its process.

    An advisory lock on the region's file tells others that the owner lives; the
    kernel drops it with the process, so `sweep` needs no process ids.

    Args:
        size_bytes: Size; the memory is reserved at once.
        prefix: Start of its name, the same for all regions of one owner.

    Raises:
        OSError: No room, or no shared memory on this machine.
    """

    def __init__(self, size_bytes: int, prefix: str = DEFAULT_PREFIX) -> None:
        self.name = f"{prefix}{uuid.uuid4().hex}"
        self.size_bytes = size_bytes
        path = FOLDER / self.name
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Reserved, not only sized: a full /dev/shm is an error here and SIGBUS later.
            os.posix_fallocate(self._file, 0, size_bytes)
            self._memory = mmap.mmap(self._file, size_bytes)
        except OSError:
            path.unlink(missing_ok=True)
            os.close(self._file)
            raise

    @property
    def key(self) -> str:
        """Name under which another process opens the region."""
        return f"/{self.name}"

    def write(self, array: NDArray[Any]) -> None:
        """Copy an array to the start of the region."""
        target = np.frombuffer(self._memory, array.dtype, array.size).reshape(array.shape)
        np.copyto(target, array)

    def read(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return a copy of an array at the start of the region."""
        return np.frombuffer(self._memory, dtype, math.prod(shape)).reshape(shape).copy()

    def close(self) -> None:
        """Unlink the region and free it; does nothing the second time."""
        if self._file < 0:
            return
        (FOLDER / self.name).unlink(missing_ok=True)
        self._memory.close()
        os.close(self._file)
        self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def sweep(prefix: str = DEFAULT_PREFIX) -> int:
    """Unlink regions with a prefix whose owner has died; return how many."""
    swept = 0
    if not FOLDER.is_dir():
        return swept
    for path in FOLDER.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            swept += _unlink_if_orphan(path)
    return swept


def _unlink_if_orphan(path: Path) -> bool:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A region without size may be one that its owner is about to lock.
        if os.fstat(file).st_size == 0:
            return False
        path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True

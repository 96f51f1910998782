"""A process's output in a file that never grows beyond bounds."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

MAX_BYTES: Final = 10 * 1024 * 1024
KEPT: Final = 5


class RotatingLog:
    """A log file that moves aside at a line's end once it is full.

    ``name.log`` is the current file, ``name.log.1`` the one before it, and so on.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._file: IO[bytes] | None = None
        self._size = 0
        self.dropped_bytes = 0
        """Bytes that could not be written, for example to a full disk."""

    def write(self, data: bytes) -> None:
        """Append output; never raises, since the process behind it must go on."""
        try:
            file = self._file or self._open()
            cut = data.rfind(b"\n") + 1
            if cut and self._size + cut >= self._max_bytes:
                self._append(file, data[:cut])
                self._rotate()
                file, data = self._open(), data[cut:]
            self._append(file, data)
        except OSError:
            self.dropped_bytes += len(data)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _append(self, file: IO[bytes], data: bytes) -> None:
        file.write(data)
        self._size += len(data)

    def _open(self) -> IO[bytes]:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = self._path.open("ab", buffering=0)
        self._path.chmod(0o600)
        self._size = self._path.stat().st_size
        return self._file

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        if self._kept:
            self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

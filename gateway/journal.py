"""The gateway's own memory of what it acknowledged while the coordinator was away.

Segments of records, appended and flushed before anybody is told. A record is its length and
CRC-32, then its bytes. A crash can leave the last record of a segment torn; it was promised to
nobody. A segment that could not be flushed is never written to again: what the kernel dropped
once must not be taken for written (PostgreSQL's rule).
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from services.runtime import logs
from services.runtime.errors import StorageFullError
from services.runtime.local_files import storage_errors
from services.runtime.signing_key import fsync_folder

TORN: Final = "journal.torn"
_HEADER: Final = struct.Struct("<LL")
_SUFFIX: Final = ".journal"
MAX_RECORD_BYTES: Final = 1 << 20
_SEGMENT_BYTES: Final = 4 << 20

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Segment:
    """A closed segment: its file, and what was appended to it."""

    path: Path
    size_bytes: int

    def records(self) -> list[bytes]:
        """Read the whole records, in the order in which they were appended."""
        data = self.path.read_bytes()
        found = list(_records(data))
        if sum(_HEADER.size + len(record) for record in found) != len(data):
            logs.get_logger().warning(TORN, count=len(found), size_bytes=len(data))
        return found


class Journal:
    """Appends records durably and gives them back in order.

    Args:
        folder: Made if absent, mode 0700; used by one process at a time.
        max_bytes: Most that all segments may hold.
        executor: Threads that write and flush.
    """

    def __init__(self, folder: Path, max_bytes: int, executor: Executor) -> None:
        self._max_bytes = max_bytes
        self._executor = executor
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fsync_folder(folder.parent)
        self._closed = [
            Segment(path, path.stat().st_size) for path in sorted(folder.glob(f"*{_SUFFIX}"))
        ]
        self._filled_at = min((s.path.stat().st_mtime for s in self._closed), default=0.0)
        last = int(self._closed[-1].path.stem) if self._closed else 0
        self._active = _Writer(folder, last + 1)
        self._bytes = sum(segment.size_bytes for segment in self._closed)
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return not self._closed and not self._active.size_bytes and not self._pending

    @property
    def size_bytes(self) -> int:
        """What it holds, with what is about to be flushed."""
        return self._bytes

    @property
    def limit_bytes(self) -> int:
        """The most that it may hold."""
        return self._max_bytes

    @property
    def filled_s(self) -> float:
        """Time since it was last empty, in seconds."""
        return 0.0 if self.is_empty else max(0.0, time.time() - self._filled_at)

    async def append(self, record: bytes) -> None:
        """Keep a record; it is durable on return. Records that come together share a flush.

        Raises:
            StorageFullError: The journal or its disk is full.
            OSError: The disk failed.
        """
        size = _HEADER.size + len(record)
        if self._bytes + size > self._max_bytes:
            raise StorageFullError
        if self.is_empty:
            self._filled_at = time.time()
        self._bytes += size
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((_HEADER.pack(len(record), zlib.crc32(record)) + record, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await asyncio.shield(done)

    async def oldest(self) -> Segment | None:
        """Return the oldest segment, closing the one that is written to if it is that."""
        if not self._closed:
            async with self._lock:
                await self._rotate()
        return self._closed[0] if self._closed else None

    def waiting(self) -> Iterator[bytes]:
        """Yield every record of the closed segments, without forgetting them; blocks."""
        for segment in list(self._closed):
            yield from segment.records()

    async def drop(self, segment: Segment) -> None:
        """Forget a segment whose records are all answered."""
        await self._run(lambda: _unlink(segment.path))
        self._closed.remove(segment)
        self._bytes -= segment.size_bytes

    async def _flush(self) -> None:
        while self._pending:
            async with self._lock:
                batch, self._pending = self._pending, []
                await self._write(batch)
        self._flushing = None

    async def _write(self, batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        data = b"".join(record for record, _ in batch)
        try:
            await self._run(lambda: self._active.append(data))
        except (OSError, StorageFullError) as error:
            self._bytes -= len(data)
            await self._rotate()
            _fail(batch, error)
            return
        if self._active.size_bytes >= _SEGMENT_BYTES:
            await self._rotate()
        for _, done in batch:
            if not done.done():
                done.set_result(None)

    async def _rotate(self) -> None:
        if self._active.path.exists():
            self._closed.append(Segment(self._active.path, self._active.size_bytes))
            self._active = await self._run(self._active.successor)

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


class _Writer:
    """One segment being written; used by one thread at a time.

    Attributes:
        path: Its file, which is there after the first append.
        size_bytes: Bytes that are durable.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        self._descriptor = -1
        self.path = folder / f"{number:012d}{_SUFFIX}"
        self.size_bytes = 0

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        with storage_errors():
            if self._descriptor < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
                self._descriptor = os.open(self.path, flags, 0o600)
                fsync_folder(self._folder)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fdatasync(self._descriptor)
        self.size_bytes += len(data)

    def successor(self) -> _Writer:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        return _Writer(self._folder, self._number + 1)


def _records(data: bytes) -> Iterator[bytes]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, offset)
        start = offset + _HEADER.size
        offset = start + length
        record = data[start:offset]
        # A length of zero is a hole that a crash left in the file.
        if not length or length > MAX_RECORD_BYTES or zlib.crc32(record) != checksum:
            return
        if len(record) < length:
            return
        yield record


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    fsync_folder(path.parent)


def _fail(batch: list[tuple[bytes, asyncio.Future[None]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)
            done.exception()  # the sender may have gone; nobody else has to look

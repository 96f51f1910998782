"""What was made once and may be asked for again, on disk, within a bound of bytes and time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.dicomweb.metrics import CACHE_ASKED, CACHE_BYTES, CACHE_LIMIT_BYTES

_UNFINISHED: Final = ".new"
_SWEEP_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class CacheFill:
    """How full a cache is.

    Attributes:
        used_bytes: What its files take.
        limit_bytes: The most that they may take.
        max_age_s: Longest time that a file stays.
    """

    used_bytes: int
    limit_bytes: int
    max_age_s: float


class DiskCache:
    """A folder of files named by the hash of their key; the least used give way.

    Keys and contents hold patient data: the folder is 0700, the files 0600, the names hashes.

    Args:
        folder: Made if absent.
        max_bytes: Most that all files may take; 0 keeps nothing.
        max_age_s: Longest time that a file stays.
    """

    def __init__(self, folder: Path, max_bytes: int, max_age_s: float) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._made: dict[str, asyncio.Future[bytes]] = {}
        self._keeping: set[asyncio.Task[None]] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files: OrderedDict[str, tuple[int, float]] = OrderedDict(_found(folder))
        self._bytes = sum(size for size, _ in self._files.values())
        self._swept = 0.0
        CACHE_LIMIT_BYTES.set(max_bytes)
        with self._lock:
            self._make_room(0)

    @property
    def fill(self) -> CacheFill:
        """How full it is."""
        return CacheFill(self._bytes, self._max_bytes, self._max_age_s)

    async def get(self, kind: str, key: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return what is kept, or make it, once for all who ask at the same time.

        Args:
            kind: What it is, for metrics: "picture" or "metadata".
            key: All that it depends on.
            make: Makes it.
        """
        name = hashlib.sha256(f"{kind}\0{key}".encode()).hexdigest()
        running = self._made.get(name)
        if running is not None:
            return await asyncio.shield(running)
        found = await asyncio.to_thread(self._read, name) if name in self._files else None
        CACHE_ASKED.labels(kind, "hit" if found is not None else "miss").inc()
        return found if found is not None else await self._make(name, make)

    async def _make(self, name: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        running = self._made.get(name)
        if running is not None:
            return await asyncio.shield(running)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._made[name] = future
        try:
            content = await make()
        except BaseException as error:
            # Who waits gets the same error; one whom nobody waits for is not told as lost.
            future.set_exception(error if isinstance(error, Exception) else ConnectionError())
            future.exception()
            del self._made[name]
            raise
        future.set_result(content)
        # Nobody waits for the disk: until it is written, what was made answers.
        keeping = asyncio.create_task(self._kept(name, content))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        return content

    async def settled(self) -> None:
        """Wait until what was made is on disk."""
        if self._keeping:
            await asyncio.wait(self._keeping)

    async def _kept(self, name: str, content: bytes) -> None:
        try:
            await asyncio.to_thread(self._keep, name, content)
        finally:
            del self._made[name]

    def _read(self, name: str) -> bytes | None:
        with self._lock:
            _, written = self._files.get(name, (0, 0.0))
            if time.time() - written > self._max_age_s:
                self._forget(name)
                return None
            self._files.move_to_end(name)
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            with self._lock:
                self._forget(name)
            return None

    def _keep(self, name: str, content: bytes) -> None:
        if len(content) > self._max_bytes // 4:
            return
        with self._lock, suppress(OSError):
            self._make_room(len(content))
            new = self._folder / f"{name}{_UNFINISHED}"
            with open(new, "wb", opener=_private) as file:
                file.write(content)
            new.replace(self._folder / name)
            self._bytes += len(content) - self._files.get(name, (0, 0.0))[0]
            self._files[name] = (len(content), time.time())
            CACHE_BYTES.set(self._bytes)

    def _make_room(self, size: int) -> None:
        now = time.time()
        if now - self._swept > _SWEEP_S:
            self._swept = now
            old = now - self._max_age_s
            for name in [name for name, (_, written) in self._files.items() if written < old]:
                self._forget(name)
        while self._files and self._bytes + size > self._max_bytes:
            self._forget(next(iter(self._files)))
        CACHE_BYTES.set(self._bytes)

    def _forget(self, name: str) -> None:
        size, _ = self._files.pop(name, (0, 0.0))
        self._bytes -= size
        with suppress(OSError):
            (self._folder / name).unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _found(folder: Path) -> list[tuple[str, tuple[int, float]]]:
    for unfinished in folder.glob(f"*{_UNFINISHED}"):
        unfinished.unlink(missing_ok=True)
    stamps = [(path.name, path.stat()) for path in folder.iterdir() if path.is_file()]
    stamps.sort(key=lambda found: found[1].st_mtime)
    return [(name, (stamp.st_size, stamp.st_mtime)) for name, stamp in stamps]

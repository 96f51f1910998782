"""Processes that wait for objects to treat; one that dies or hangs is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.deid.orders import Orders

_ROOT: Final = Path(__file__).resolve().parents[2]
_START: Final = (
    "import runpy, sys; sys.path[:0] = {paths!r}; "
    "runpy.run_module('services.deid.worker', run_name='__main__', alter_sys=True)"
)
_LINE_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 20


class ProcessFailedError(Exception):
    """A process died or took too long, and with it what it was doing.

    Attributes:
        code: "PROCESS_DIED", "TIME_LIMIT" or "PROCESS_NOT_STARTED".
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What the processes may use.

    Attributes:
        processes: How many work at the same time.
        seconds: Longest time for one object.
        memory_bytes: Most address space of one.
        tasks: Tasks after which one is replaced, for what libraries leak.
    """

    processes: int = 2
    seconds: float = 600.0
    memory_bytes: int = 12 << 30
    tasks: int = 5000


class Answer:
    """What a process says of one task, with bytes that follow.

    Attributes:
        said: The line.
        left: Bytes that have not been read yet.
    """

    def __init__(self, said: dict[str, Any], reader: asyncio.StreamReader, seconds: float) -> None:
        self.said = said
        self.left = int(said["bytes"])
        self._reader = reader
        self._seconds = seconds

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes in chunks of at most 1 MiB.

        Raises:
            ProcessFailedError: The process died or took too long.
        """
        while self.left:
            size = min(self.left, _CHUNK_BYTES)
            with _failures():
                async with asyncio.timeout(self._seconds):
                    data = await self._reader.readexactly(size)
            self.left -= size
            yield data


class Processes:
    """Gives tasks to processes.

    Args:
        limits: What they may use.
        folder: Their working directory, private.
    """

    def __init__(self, limits: ProcessLimits, folder: Path) -> None:
        self._limits = limits
        self._folder = folder
        self._idle: asyncio.LifoQueue[_Process | None] = asyncio.LifoQueue()
        for _ in range(limits.processes):
            self._idle.put_nowait(None)

    @property
    def count(self) -> int:
        """How many work at the same time."""
        return self._limits.processes

    @asynccontextmanager
    async def doing(self, orders: Orders, task: dict[str, Any]) -> AsyncIterator[Answer]:
        """Do one task under orders and give its answer.

        Raises:
            ProcessFailedError: The process died or took too long.
        """
        process, answer = await self._idle.get(), None
        try:
            if process is None:
                process = await _started(self._limits, self._folder)
            answer = await process.asked(orders, task, self._limits.seconds)
            yield answer
        finally:
            # One that was left in the middle of an answer cannot be used again.
            whole = answer is not None and not answer.left
            if process is not None and (not whole or process.tasks >= self._limits.tasks):
                await asyncio.shield(process.close())
                process = None
            self._idle.put_nowait(process)

    async def close(self) -> None:
        """End the processes that wait."""
        while not self._idle.empty():
            process = self._idle.get_nowait()
            if process is not None:
                await process.close()


class _Process:
    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._follows = ""
        self.tasks = 0

    async def asked(self, orders: Orders, task: dict[str, Any], seconds: float) -> Answer:
        self.tasks += 1
        with _failures():
            async with asyncio.timeout(seconds):
                if self._follows != orders.digest:
                    self._follows = orders.digest
                    await self._send({"orders": orders.as_json})
                await self._send(task)
                said = json.loads(await self._reader.readuntil(b"\n"))
        return Answer(said, self._reader, seconds)

    async def _send(self, line: dict[str, Any]) -> None:
        self._writer.write(json.dumps(line).encode("ascii") + b"\n")
        await self._writer.drain()

    async def close(self) -> None:
        """Kill the group and wait for its leader."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        # Otherwise its pipes are closed by the garbage collector, with a warning.
        transport = getattr(self._process, "_transport", None)
        if transport is not None:
            transport.close()


@contextmanager
def _failures() -> Iterator[None]:
    """Say in one way how a process can fail."""
    try:
        yield
    except TimeoutError:
        raise ProcessFailedError("TIME_LIMIT") from None
    except (OSError, asyncio.IncompleteReadError, ValueError):
        raise ProcessFailedError("PROCESS_DIED") from None


async def _started(limits: ProcessLimits, folder: Path) -> _Process:
    paths = [str(_ROOT), str(_ROOT / "gen/python")]
    argv = (sys.executable, "-I", "-c", _START.format(paths=paths))
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_BYTES,
            cwd=folder,
            env=_environ(folder),
            start_new_session=True,
        )
    except OSError:
        raise ProcessFailedError("PROCESS_NOT_STARTED") from None
    # Set from outside, because code between fork and exec is not safe beside gRPC's threads.
    with suppress(ProcessLookupError):
        memory = limits.memory_bytes
        resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
    if process.stdout is None or process.stdin is None:
        raise ProcessFailedError("PROCESS_NOT_STARTED")
    return _Process(process, process.stdout, process.stdin)


def _environ(folder: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
        "OMP_THREAD_LIMIT": "1",
    }

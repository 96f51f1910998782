"""Processes that wait for tasks about pixels; one that dies or hangs is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.conversion.errors import ImageNotRenderableError, ToolFailedError

_ROOT: Final = Path(__file__).resolve().parents[2]
_START: Final = (
    "import runpy, sys; sys.path[:0] = {paths!r}; "
    "runpy.run_module('services.conversion.imaging_worker', run_name='__main__', alter_sys=True)"
)
_TOOL: Final = "imaging"
_LINE_BYTES: Final = 64 << 10
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """What the processes may use.

    Attributes:
        processes: How many work at the same time.
        seconds: Longest time between two parts of an answer.
        memory_bytes: Most address space of one.
        file_bytes: Largest file one may write.
        tasks: Tasks after which one is replaced, for what libraries leak.
    """

    processes: int = 2
    seconds: float = 60.0
    memory_bytes: int = 6 << 30
    file_bytes: int = 2 << 30
    tasks: int = 2000


@dataclass(frozen=True, slots=True)
class Chunk:
    """At most 1 MiB of a part, and what is said of that part."""

    data: bytes
    last: bool
    said: dict[str, Any]


class ImagingPool:
    """Gives tasks to processes.

    Args:
        limits: What they may use.
        folder: Their working directory, private.
    """

    def __init__(self, limits: PoolLimits, folder: Path) -> None:
        self._limits = limits
        self._folder = folder
        self._idle: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        for _ in range(limits.processes):
            self._idle.put_nowait(None)

    async def run(self, task: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Do one task and yield the parts of its answer, chunk by chunk.

        Raises:
            ImageNotRenderableError: It cannot be done, for a reason that lies in the image.
            ToolFailedError: The process died or took too long.
        """
        worker = await self._idle.get()
        whole = False
        try:
            if worker is None:
                worker = await _started(self._limits, self._folder)
            async with aclosing(worker.answers(task, self._limits.seconds)) as chunks:
                async for chunk in chunks:
                    yield chunk
            whole = True
        except ImageNotRenderableError:
            whole = True
            raise
        finally:
            # One that was left in the middle of an answer cannot be used again.
            if worker is not None and (not whole or worker.tasks >= self._limits.tasks):
                await asyncio.shield(worker.close())
                worker = None
            self._idle.put_nowait(worker)

    async def close(self) -> None:
        """End the processes that wait."""
        while not self._idle.empty():
            worker = self._idle.get_nowait()
            if worker is not None:
                await worker.close()


class _Worker:
    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.tasks = 0

    async def answers(self, task: dict[str, Any], seconds: float) -> AsyncGenerator[Chunk, None]:
        self.tasks += 1
        try:
            await self._send(task)
            while True:
                said = json.loads(await self._line(seconds))
                if "bytes" not in said:
                    break
                async for chunk in self._part(said, seconds):
                    yield chunk
        except TimeoutError:
            raise ToolFailedError(_TOOL, "TIME_LIMIT") from None
        except (OSError, asyncio.IncompleteReadError, ValueError):
            raise ToolFailedError(_TOOL, "DIED") from None
        if "rule" in said:
            raise ImageNotRenderableError(str(said["rule"]))

    async def _send(self, task: dict[str, Any]) -> None:
        self._writer.write(json.dumps(task).encode("ascii") + b"\n")
        await self._writer.drain()

    async def _line(self, seconds: float) -> bytes:
        async with asyncio.timeout(seconds):
            return await self._reader.readuntil(b"\n")

    async def _part(self, said: dict[str, Any], seconds: float) -> AsyncGenerator[Chunk, None]:
        left = int(said["bytes"])
        while True:
            size = min(left, _CHUNK_BYTES)
            async with asyncio.timeout(seconds):
                data = await self._reader.readexactly(size)
            left -= size
            yield Chunk(data, left == 0, said)
            if not left:
                return

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


async def _started(limits: PoolLimits, folder: Path) -> _Worker:
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
            env={"HOME": str(folder), "LANG": "C", "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    except OSError:
        raise ToolFailedError(_TOOL, "NOT_STARTED") from None
    # Set from outside, because code between fork and exec is not safe beside gRPC's threads.
    with suppress(ProcessLookupError):
        resource.prlimit(
            process.pid, resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes)
        )
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
    if process.stdout is None or process.stdin is None:
        raise ToolFailedError(_TOOL, "NOT_STARTED")
    return _Worker(process, process.stdout, process.stdin)

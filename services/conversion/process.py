"""Runs a program in a process group of its own, within limits of time, memory and file size."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.conversion.errors import ToolFailedError


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use."""

    seconds: float = 600.0
    memory_bytes: int = 8 << 30
    file_bytes: int = 8 << 30


async def run(tool: str, argv: Sequence[str], *, folder: Path, output: Path, limits: Limits) -> int:
    """Run a program to its end and return its exit code.

    The group is killed when the call is cancelled and when time is over. The program sees no
    environment of ours and no terminal.

    Args:
        tool: Our name of it, for errors.
        argv: The program and its arguments; no shell sees them.
        folder: Working directory, and its home.
        output: File that takes what it writes to stdout and stderr.
        limits: What it may use.

    Raises:
        ToolFailedError: It cannot be started, or ran out of time.
    """
    with output.open("wb") as sink:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=sink,
                stderr=asyncio.subprocess.STDOUT,
                cwd=folder,
                env={"HOME": str(folder), "LANG": "C", "TMPDIR": str(folder)},
                start_new_session=True,
            )
        except OSError:
            raise ToolFailedError(tool, "NOT_STARTED") from None
    try:
        _limit(process.pid, limits)
        return await asyncio.wait_for(process.wait(), limits.seconds)
    except TimeoutError:
        raise ToolFailedError(tool, "TIME_LIMIT") from None
    finally:
        await _kill(process)


def _limit(pid: int, limits: Limits) -> None:
    """Limit a child that has just started.

    Set from outside, because code between fork and exec is not safe beside gRPC's threads.
    """
    seconds = int(limits.seconds) + 1
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
        resource.prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


async def _kill(process: asyncio.subprocess.Process) -> None:
    # The group may outlive its leader; a finished child is reaped, so its number is not reused
    # for another group while any member lives.
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())

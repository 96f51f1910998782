"""One start of one program, tied to the life of the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

from services.cli.stack.accounts import Account, setpriv
from services.cli.stack.command import Command
from services.cli.stack.logs import RotatingLog
from services.cli.stack.orphans import MARK

_CHUNK: Final = 64 * 1024
_PIPE_BYTES: Final = 1024 * 1024


class Spawned:
    """A running program whose output goes to a log.

    Linux sends the program ``death_signal`` when the thread that started it ends, so start
    programs from a thread that lives as long as the supervisor: the main one.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: int, log: RotatingLog) -> None:
        self._process = process
        self._output = output
        self._log = log
        self._pidfd = os.pidfd_open(process.pid)
        self._exited = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pidfd, self._on_exit)
        loop.add_reader(output, self._on_output)

    @property
    def pid(self) -> int:
        """Process id; also the id of its process group and session."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for the end and return the exit status; minus the signal's number if killed."""
        return int(await asyncio.shield(self._exited))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, if it still runs."""
        if not self._exited.done():
            self._process.send_signal(number)

    def kill_group(self) -> None:
        """Kill the program and everything it started that stayed in its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # The group's id stays taken while the leader is not reaped, so this cannot miss.
        self.kill_group()
        status = self._process.wait()
        self._drain()
        self._exited.set_result(status)

    def _on_output(self) -> None:
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return
        if data:
            self._log.write(data)
        else:
            self._close_output()

    def _drain(self) -> None:
        for _ in range(64):
            if self._output < 0:
                return
            self._on_output()
        self._close_output()

    def _close_output(self) -> None:
        if self._output < 0:
            return
        asyncio.get_running_loop().remove_reader(self._output)
        os.close(self._output)
        self._output = -1


def spawn(
    command: Command,
    log: RotatingLog,
    workdir: Path,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> Spawned:
    """Start a program in a session of its own, as ``account`` if given.

    It is marked as one of the stack whose runtime folder is ``workdir``.

    Raises:
        OSError: If it cannot be started.
        MissingPartError: If setpriv is missing.
    """
    drop = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"] if account else []
    death = f"--pdeathsig={death_signal.name.removeprefix('SIG')}"
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)
    with contextlib.suppress(OSError):
        # Room for output while the supervisor is held up: a full pipe stops its writer.
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        process = subprocess.Popen(
            [setpriv(), death, *drop, "--", *command.argv],
            env={**command.environ, MARK: str(workdir)},
            cwd=workdir,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return Spawned(process, reader, log)

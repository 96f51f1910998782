"""One supervised process: started, watched, restarted, stopped."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from services.cli.stack.accounts import Account
from services.cli.stack.command import Command
from services.cli.stack.logs import RotatingLog
from services.cli.stack.readiness import Probe
from services.cli.stack.spawn import Spawned, spawn

FIRST_BACKOFF_S: Final = 0.25
LONGEST_BACKOFF_S: Final = 15.0
SETTLED_S: Final = 20.0
"""A process that ran this long starts again at once, and its backoff starts over."""

_POLL_STARTING_S: Final = 0.05
_POLL_RUNNING_S: Final = 2.0


class State(StrEnum):
    """What a process is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    BACKOFF = "backoff"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ProcessSpec:
    """How one process is started, watched and stopped.

    Attributes:
        name: Its name in logs, sockets and status.
        prepare: Called before each start: clears what the last one left, returns the command.
        probe: Tells whether it does its work.
        after: Names of processes that should be ready first.
        account: User to run as; the supervisor's own if ``None``.
        stop_signal: Signal that asks for an orderly end.
        death_signal: Signal that Linux sends when the supervisor dies.
        grace_s: Seconds from the stop signal to the kill.
        workdir: Its current folder.
    """

    name: str
    prepare: Callable[[], Awaitable[Command]]
    probe: Probe
    workdir: Path
    after: tuple[str, ...] = ()
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace_s: float = 10.0


@dataclass
class ProcessStatus:
    """What is known of a process now.

    Attributes:
        pid: Its process id while it runs.
        started_at: Unix time of its last start, seconds.
        restarts: Starts after the first one.
        last_exit: Exit status of the last end; minus the signal's number if it was killed.
    """

    name: str
    state: State = State.WAITING
    pid: int | None = None
    started_at: float | None = None
    restarts: int = 0
    last_exit: int | None = None


def backoff_s(failures: int) -> float:
    """Return the seconds to wait after so many ends in a row, each soon after its start."""
    return float(min(FIRST_BACKOFF_S * 2 ** min(failures, 10), LONGEST_BACKOFF_S))


@dataclass
class Child:
    """Keeps one process running until it is told to stop."""

    spec: ProcessSpec
    log: RotatingLog
    on_change: Callable[[ProcessStatus], None]
    status: ProcessStatus = field(init=False)
    ready: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _running: Spawned | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Begin in the state of a process that was never started."""
        self.status = ProcessStatus(self.spec.name)

    async def run(self) -> None:
        """Start the process and start it again each time it ends, until ``stop``."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            await self._run_once()
            if self._stopping.is_set():
                break
            failures = 0 if time.monotonic() - began > SETTLED_S else failures + 1
            self._change(State.BACKOFF)
            await self._pause(backoff_s(failures - 1) if failures else 0.0)
            self.status.restarts += 1
        self._change(State.STOPPED)
        self.log.close()

    async def stop(self) -> None:
        """Ask the process to end, kill it after its grace, and do not start it again."""
        self._stopping.set()
        running = self._running
        if running is None:
            return
        running.signal(self.spec.stop_signal)
        try:
            await asyncio.wait_for(running.wait(), self.spec.grace_s)
        except TimeoutError:
            running.kill_group()
            await running.wait()

    def kill(self) -> None:
        """End the process at once, without asking."""
        self._stopping.set()
        if self._running is not None:
            self._running.kill_group()

    async def _run_once(self) -> None:
        try:
            command = await self.spec.prepare()
            if self._stopping.is_set():
                return
            spec = self.spec
            running = spawn(command, self.log, spec.workdir, spec.account, spec.death_signal)
        except Exception as error:
            # Whatever it is, the next attempt may do better; an unwatched process never would.
            self.log.write(f"cannot start {self.spec.name}: {error}\n".encode())
            return
        self._running = running
        self.status.pid, self.status.started_at = running.pid, time.time()
        self._change(State.STARTING)
        watch = asyncio.create_task(self._watch())
        try:
            self.status.last_exit = await running.wait()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            self._running, self.status.pid = None, None
            self.ready.clear()

    async def _watch(self) -> None:
        while True:
            answered = await self._answers()
            if answered != self.ready.is_set() and not self._stopping.is_set():
                self._turn(answered)
            await asyncio.sleep(_POLL_RUNNING_S if answered else _POLL_STARTING_S)

    async def _answers(self) -> bool:
        try:
            return await self.spec.probe()
        except Exception as error:
            self.log.write(f"no answer from {self.spec.name}: {type(error).__name__}\n".encode())
            return False

    def _turn(self, answered: bool) -> None:
        if answered:
            self.ready.set()
        else:
            self.ready.clear()
        self._change(State.READY if answered else State.UNREADY)

    def _change(self, state: State) -> None:
        self.status.state = state
        self.on_change(self.status)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

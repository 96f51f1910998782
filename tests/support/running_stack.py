"""A whole stack, started by the command a person would type."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import psutil

from services.cli.stack.ports import free_ports
from services.cli.stack.state import StackState, read_state

READY_TIMEOUT_S: Final = 90.0
_STOP_TIMEOUT_S: Final = 60.0
IMPATIENT: Final = {"HEIMDALLR_COORDINATOR_OUTAGE_ATTEMPTS": "5"}
"""A stage is held a quarter of a minute after a part of the system went away."""


def _python_path(sources: Path) -> str:
    return os.pathsep.join((str(sources), str(sources / "gen/python")))


def data_folder() -> Path:
    """Return a new folder that the database's user can reach; pytest's own is closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
    folder.chmod(0o711)
    return folder / "data"


@dataclass
class RunningStack:
    """A child process that runs ``heimdallr up --json``; its data folder is removed in the end.

    Attributes:
        data: The data folder.
        arguments: More arguments of the command.
        environ: More of its environment.
        sources: The checkout that is run.
        program: What of it is run, as arguments of Python.
        ports: Of Envoy's public listener and of the gateway.
    """

    data: Path = field(default_factory=data_folder)
    arguments: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    sources: Path = field(default_factory=Path.cwd)
    program: tuple[str, ...] = ("-m", "services.cli")
    ports: list[int] = field(default_factory=lambda: free_ports(2))
    ready_seconds: float = 0.0
    sign_in_link: str = ""
    _process: subprocess.Popen[str] | None = None
    _events: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)

    @property
    def http_port(self) -> int:
        """Port of Envoy's public listener."""
        return self.ports[0]

    @property
    def dicom_port(self) -> int:
        """Port of the gateway."""
        return self.ports[1]

    def start(self) -> Self:
        """Start and wait until everything is ready."""
        command = [sys.executable, *self.program, "up", "--json", "--data", str(self.data)]
        command += ["--http-port", str(self.http_port), "--dicom-port", str(self.dicom_port)]
        self._process = subprocess.Popen(
            [*command, *self.arguments],
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.sources,
            env={**os.environ, "PYTHONPATH": _python_path(self.sources), **self.environ},
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        self._wait_ready()
        return self

    def stop(self) -> int:
        """Stop in order and return the exit status."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_STOP_TIMEOUT_S)
        finally:
            process.kill()
            self._process = None

    @property
    def state(self) -> StackState:
        """What the stack says of itself."""
        state = read_state(self.data)
        assert state is not None
        return state

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    @property
    def supervisor(self) -> int:
        """Process id of the command itself."""
        return self._running().pid

    def pid(self, name: str) -> int:
        """Return the process id of a process, waiting for it to run."""
        for _ in range(300):
            for process in self.state.processes:
                if process.name == name and process.pid is not None:
                    return process.pid
            time.sleep(0.1)
        raise AssertionError(f"{name} does not run")

    def kill(self, name: str) -> None:
        """End a process by SIGKILL, wherever it is."""
        os.kill(self.pid(name), signal.SIGKILL)

    def kill_everything(self) -> None:
        """End every process at once, the supervisor too."""
        process = self._running()
        family = [psutil.Process(process.pid)]
        os.kill(process.pid, signal.SIGSTOP)  # it starts nothing again meanwhile
        family += family[0].children(recursive=True)
        for one in family:
            with suppress(psutil.NoSuchProcess):  # a backend may end by itself meanwhile
                one.kill()
        process.wait(_STOP_TIMEOUT_S)
        psutil.wait_procs(family, _STOP_TIMEOUT_S)
        self._process = None

    def logs(self) -> dict[str, str]:
        """Return every log by its file's name."""
        folder = self.data / "logs"
        return {path.name: path.read_text(errors="replace") for path in folder.iterdir()}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self.stop()
        shutil.rmtree(self.data.parent, ignore_errors=True)

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._events.put(json.loads(line))

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        ready = False
        while not ready:
            event = self._next_event(deadline)
            if event["event"] == "refused":
                raise AssertionError(event["reason"])
            if event["event"] == "sign_in":
                self.sign_in_link = event["link"]
            if event["event"] == "ready":
                self.ready_seconds, ready = event["seconds"], True

    def _next_event(self, deadline: float) -> dict[str, Any]:
        try:
            return self._events.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            self._running().kill()
            raise AssertionError(f"not ready after {READY_TIMEOUT_S:.0f} s") from None

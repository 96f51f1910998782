"""A stack of a test's own: a data folder that any user can reach, and free ports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from services.cli.stack import StackSettings
from services.cli.stack.children import MODULES
from services.cli.stack.orphans import MARK
from services.cli.stack.ports import free_ports
from services.cli.stack.runtime_folder import choose_runtime_folder

OUR_PROCESSES: Final = frozenset(MODULES)
"""Names of the processes written here; what is left without them is what others wrote."""


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """An empty folder with a short name; pytest's own is closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stack_settings(data: Path, without: frozenset[str] = frozenset()) -> StackSettings:
    """Return settings with free ports."""
    http_port, dicom_port = free_ports(2)
    return StackSettings(data=data, http_port=http_port, dicom_port=dicom_port, without=without)


def living(run: Path) -> list[psutil.Process]:
    """Return the processes of a stack that live, told by their mark or their folder."""
    return [process for process in psutil.process_iter() if _lives_in(process, run)]


def _lives_in(process: psutil.Process, run: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(MARK) == str(run) or str(run) in " ".join(process.cmdline())
    except psutil.Error:
        return False


@dataclass
class RunningUp:
    """A ``heimdallr up`` in a process of its own.

    Attributes:
        process: The supervisor.
        events: What it has said so far, in order.
    """

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def wait_for(self, event: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Read on until it says ``event``; fails if it ends first."""
        assert self.process.stdout is not None
        with _deadline(self.process, timeout_s):
            for line in self.process.stdout:
                self.events.append(json.loads(line))
                if self.events[-1]["event"] == event:
                    return self.events[-1]
        raise AssertionError(f"no {event} before the end: {self.events}")

    def finish(self, timeout_s: float = 30.0) -> int:
        """Read on until it ends and return its exit status."""
        assert self.process.stdout is not None
        with _deadline(self.process, timeout_s):
            self.events += [json.loads(line) for line in self.process.stdout]
            return self.process.wait()


@contextmanager
def heimdallr_up(
    settings: StackSettings,
    command: Sequence[str] = (sys.executable,),
    environ: Mapping[str, str] | None = None,
) -> Iterator[RunningUp]:
    """Start ``heimdallr up --json`` and kill it at the end if it still runs.

    Args:
        settings: Data folder, ports and what is left out.
        command: How Python is started.
        environ: Environment; this process's own if ``None``.
    """
    argv = [*command, "-m", "services.cli", "up", "--json", "--data", str(settings.data)]
    argv += ["--http-port", str(settings.http_port), "--dicom-port", str(settings.dicom_port)]
    for name in sorted(settings.without):
        argv += ["--without", name]
    root = Path(__file__).resolve().parents[2]
    given = dict(os.environ if environ is None else environ)
    given["PYTHONPATH"] = os.pathsep.join(
        [str(root), str(root / "gen/python"), *filter(None, [given.get("PYTHONPATH")])]
    )
    process = subprocess.Popen(
        argv, cwd="/", env=given, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        yield RunningUp(process)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(_runtime_folder(settings, given), ignore_errors=True)
        if process.stdout is not None:
            process.stdout.close()


def _runtime_folder(settings: StackSettings, environ: Mapping[str, str]) -> Path:
    return choose_runtime_folder(settings.data, environ, os.geteuid())


@contextmanager
def _deadline(process: subprocess.Popen[str], timeout_s: float) -> Iterator[None]:
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from services.cli.stack.command import Command
from services.cli.stack.logs import RotatingLog
from services.cli.stack.process import Child, ProcessSpec, ProcessStatus, State, backoff_s

_ROOT = Path(__file__).resolve().parents[4]


def _python(script: str) -> Callable[[], Awaitable[Command]]:
    async def prepare() -> Command:
        return Command((sys.executable, "-u", "-c", script), {"PATH": "/usr/bin:/bin"})

    return prepare


async def _always() -> bool:
    return True


def _child(folder: Path, script: str, grace_s: float = 5.0) -> tuple[Child, list[State]]:
    seen: list[State] = []
    spec = ProcessSpec("toy", _python(script), _always, workdir=folder, grace_s=grace_s)

    def note(status: ProcessStatus) -> None:
        seen.append(status.state)

    return Child(spec, RotatingLog(folder / "toy.log"), note), seen


async def _until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_process_that_dies_is_started_again(tmp_path: Path) -> None:
    child, seen = _child(tmp_path, "import time; time.sleep(60)")
    task = asyncio.create_task(child.run())
    await asyncio.wait_for(child.ready.wait(), 10)
    first = child.status.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    await _until(lambda: child.status.restarts == 1 and child.ready.is_set())

    assert child.status.pid != first
    assert child.status.last_exit == -signal.SIGKILL
    assert State.BACKOFF in seen
    await child.stop()
    await task
    assert seen[-1] is State.STOPPED


async def test_each_early_end_doubles_the_wait_before_the_next_start(tmp_path: Path) -> None:
    child, _ = _child(tmp_path, "import time; print(time.time())")
    task = asyncio.create_task(child.run())

    await _until(lambda: _text(tmp_path / "toy.log").count("\n") >= 4)
    await child.stop()
    await task

    starts = [float(line) for line in (tmp_path / "toy.log").read_text().split()]
    waits = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert waits[0] >= 0.25
    assert waits[1] >= 0.5
    assert waits[2] >= 1.0


@pytest.mark.parametrize(("failures", "expected"), [(0, 0.25), (1, 0.5), (4, 4.0), (500, 15.0)])
def test_the_wait_is_bounded(failures: int, expected: float) -> None:
    wait = backoff_s(failures)

    assert wait == expected


async def test_a_program_that_is_missing_is_tried_again_and_logged(tmp_path: Path) -> None:
    async def prepare() -> Command:
        raise OSError("no such program")

    spec = ProcessSpec("toy", prepare, _always, workdir=tmp_path)
    child = Child(spec, RotatingLog(tmp_path / "toy.log"), lambda status: None)
    task = asyncio.create_task(child.run())

    await _until(lambda: child.status.restarts >= 1)
    await child.stop()
    await task

    assert "cannot start toy: no such program" in (tmp_path / "toy.log").read_text()


async def test_a_question_that_fails_is_asked_again(tmp_path: Path) -> None:
    failures = [ValueError("half an answer")]

    async def probe() -> bool:
        if failures:
            raise failures.pop()
        return True

    spec = ProcessSpec("toy", _python("import time; time.sleep(60)"), probe, workdir=tmp_path)
    child = Child(spec, RotatingLog(tmp_path / "toy.log"), lambda status: None)
    task = asyncio.create_task(child.run())

    await asyncio.wait_for(child.ready.wait(), 10)

    await child.stop()
    await task
    assert "no answer from toy: ValueError" in _text(tmp_path / "toy.log")


async def test_a_process_sees_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "1")
    child, _ = _child(tmp_path, "import os, time; print(sorted(os.environ)); time.sleep(60)")
    task = asyncio.create_task(child.run())

    await _until(lambda: "PATH" in _text(tmp_path / "toy.log"))
    await child.stop()
    await task

    assert "SECRET_OF_THE_SHELL" not in _text(tmp_path / "toy.log")


async def test_a_process_that_ignores_the_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"
    child, _ = _child(tmp_path, script, grace_s=0.3)
    task = asyncio.create_task(child.run())
    await _until(lambda: "up" in _text(tmp_path / "toy.log"))
    began = time.monotonic()

    await child.stop()
    await task

    assert child.status.last_exit == -signal.SIGKILL
    assert time.monotonic() - began < 5


async def test_what_a_dead_process_had_started_ends_with_it(tmp_path: Path) -> None:
    script = "import subprocess; p = subprocess.Popen(['sleep', '60']); print(p.pid); p.wait()"
    child, _ = _child(tmp_path, script)
    task = asyncio.create_task(child.run())
    await _until(lambda: _text(tmp_path / "toy.log").strip().isdigit())
    grandchild = int(_text(tmp_path / "toy.log"))
    pid = child.status.pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    await _until(lambda: _gone(grandchild))
    await child.stop()
    await task


def test_a_process_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(_ROOT)!r})
from services.cli.stack.command import Command
from services.cli.stack.logs import RotatingLog
from services.cli.stack.spawn import spawn

async def main():
    folder = Path({str(tmp_path)!r})
    command = Command(("/bin/sleep", "60"), {{}})
    print(spawn(command, RotatingLog(folder / "toy.log"), folder).pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        # The death signal is set by the program between fork and sleep.
        time.sleep(0.3)

        supervisor.kill()

    deadline = time.monotonic() + 5
    while not _gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _gone(pid)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""

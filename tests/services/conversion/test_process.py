"""A program in a process of its own ends with the call, whatever it does."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from services.conversion.errors import ToolFailedError
from services.conversion.process import Limits, run


async def call(folder: Path, script: str, **limits: float) -> int:
    argv = (sys.executable, "-I", "-c", script)
    given = Limits(**limits)  # type: ignore[arg-type]
    return await run("tested", argv, folder=folder, output=folder / "log", limits=given)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def written(path: Path) -> int:
    for _ in range(200):
        if path.exists() and path.read_text().strip():
            return int(path.read_text())
        await asyncio.sleep(0.05)
    raise AssertionError("the program did not start")


async def test_the_exit_code_and_output_are_kept(tmp_path: Path) -> None:
    code = await call(tmp_path, "print('said'); raise SystemExit(3)")

    assert code == 3
    assert (tmp_path / "log").read_text() == "said\n"


async def test_the_program_sees_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIMDALLR_SECRET", "value")

    await call(tmp_path, "import os; print(sorted(os.environ))")

    assert "HEIMDALLR" not in (tmp_path / "log").read_text()


async def test_too_much_time_ends_it(tmp_path: Path) -> None:
    started = time.monotonic()

    with pytest.raises(ToolFailedError) as caught:
        await call(tmp_path, "import time; time.sleep(60)", seconds=0.5)

    assert caught.value.metadata == {"tool": "tested", "rule": "TIME_LIMIT"}
    assert time.monotonic() - started < 10


async def test_cancelling_kills_the_whole_group(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time, pathlib;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "pathlib.Path('pid').write_text(str(child.pid)); time.sleep(60)"
    )
    task = asyncio.create_task(call(tmp_path, script))
    child = await written(tmp_path / "pid")

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    for _ in range(100):
        if not alive(child):
            break
        await asyncio.sleep(0.05)
    assert not alive(child)


async def test_a_file_may_not_grow_beyond_its_limit(tmp_path: Path) -> None:
    script = "import time; time.sleep(0.5); open('big', 'wb').write(bytes(1 << 20))"

    code = await call(tmp_path, script, file_bytes=1 << 16)

    assert code != 0
    assert (tmp_path / "big").stat().st_size <= 1 << 16


async def test_memory_is_limited(tmp_path: Path) -> None:
    script = "import time; time.sleep(0.5); bytes(1 << 30)"

    assert await call(tmp_path, script, memory_bytes=256 << 20) != 0


async def test_a_program_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError) as caught:
        await run(
            "tested", ("/no/such",), folder=tmp_path, output=tmp_path / "log", limits=Limits()
        )

    assert caught.value.metadata["rule"] == "NOT_STARTED"

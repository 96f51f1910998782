from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.demo import _until_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_lets_the_demo_stop_what_it_started(number: signal.Signals) -> None:
    if number is signal.SIGHUP:
        # A run under nohup ignores it, and so would the demo.
        signal.signal(number, signal.SIG_DFL)
    stopped = asyncio.Event()

    async def command() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(10)
        finally:
            stopped.set()
        return 0

    code = await _until_signal(command())

    assert code == 130
    assert stopped.is_set()


async def test_a_signal_after_the_result_keeps_the_exit_status_of_the_result() -> None:
    async def command() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return 0
        return 1

    assert await _until_signal(command()) == 0


def test_a_data_folder_that_cannot_be_made_is_one_sentence() -> None:
    result = CliRunner().invoke(app, ["demo", "--exit", "--data", "/proc/none"])

    assert result.exit_code == 1
    assert result.output.startswith("cannot use /proc/none: ")


def test_a_file_in_place_of_the_data_folder_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    result = CliRunner().invoke(app, ["demo", "--exit", "--data", str(file)])

    assert result.exit_code == 1
    assert "Traceback" not in result.output

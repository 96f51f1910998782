from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.stack.layout import Layout
from services.cli.stack.process import ProcessStatus, State
from services.cli.stack.state import Addresses, StackState, write_state


def _write(
    folder: Path,
    state: State,
    started_at: float | None = None,
    *,
    missing: dict[str, str] | None = None,
    left_out: list[str] | None = None,
) -> None:
    layout = Layout(folder, folder / "run")
    addresses = Addresses("http://127.0.0.1:8080", "unix:m", "127.0.0.1", 11112, "H", "", "")
    process = ProcessStatus("envoy", state, os.getpid(), time.time(), restarts=2)
    began = time.time() if started_at is None else started_at
    write_state(
        layout,
        StackState(
            os.getpid(),
            str(folder),
            str(layout.run),
            began,
            addresses,
            missing=missing or {},
            processes=[process],
            left_out=left_out or [],
        ),
    )


def test_no_stack_is_exit_status_3(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", "--data", str(tmp_path)])

    assert result.exit_code == 3
    assert "heimdallr up" in result.output


@pytest.mark.parametrize(("state", "status"), [(State.READY, 0), (State.BACKOFF, 1)])
def test_exit_status_tells_whether_everything_is_ready(
    tmp_path: Path, state: State, status: int
) -> None:
    _write(tmp_path, state)

    result = CliRunner().invoke(app, ["status", "--data", str(tmp_path)])

    assert result.exit_code == status
    assert state.value in result.output


def test_json_tells_pid_restarts_memory_and_log(tmp_path: Path) -> None:
    _write(tmp_path, State.READY)

    result = CliRunner().invoke(app, ["status", "--json", "--data", str(tmp_path)])

    process = json.loads(result.output)["processes"][0]
    assert process["pid"] == os.getpid()
    assert process["restarts"] == 2
    assert process["memory_bytes"] > 1_000_000
    assert process["log"] == str(tmp_path / "logs/envoy.log")


def test_the_state_of_a_supervisor_that_died_is_not_believed(tmp_path: Path) -> None:
    _write(tmp_path, State.READY, started_at=1.0)

    result = CliRunner().invoke(app, ["status", "--data", str(tmp_path)])

    assert result.exit_code == 3


def test_a_missing_part_is_exit_status_1(tmp_path: Path) -> None:
    _write(tmp_path, State.READY, missing={"triton": "no tritonserver"})

    result = CliRunner().invoke(app, ["status", "--data", str(tmp_path)])

    assert result.exit_code == 1
    assert "triton is missing: no tritonserver" in result.output


def test_what_was_left_out_is_shown_and_well(tmp_path: Path) -> None:
    _write(tmp_path, State.READY, left_out=["analysis"])

    result = CliRunner().invoke(app, ["status", "--data", str(tmp_path)])

    assert result.exit_code == 0
    assert "left out" in result.output


def test_a_full_disk_is_said_with_what_the_senders_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, State.READY)
    monkeypatch.setenv("HEIMDALLR_BLOBS_FREE_BYTES", str(1 << 60))

    result = CliRunner().invoke(app, ["status", "--data", str(tmp_path)])

    assert result.exit_code == 1
    assert "A700" in result.output


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"])

    assert result.exit_code == 0
    assert result.output.startswith("heimdallr ")

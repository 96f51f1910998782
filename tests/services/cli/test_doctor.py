from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.stack.checks import run_checks
from services.cli.stack.settings import StackSettings


@pytest.mark.envoy
@pytest.mark.postgres
@pytest.mark.triton
def test_a_development_machine_has_everything(tmp_path: Path) -> None:
    checks = run_checks(StackSettings(tmp_path), stack_runs=True)

    missing = [check for check in checks if check.required and not check.present]

    assert missing == []


def test_what_is_missing_comes_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEIMDALLR_TRITON_ENV", "/nonexistent")

    result = CliRunner().invoke(app, ["doctor", "--json", "--data", str(tmp_path)])

    report = json.loads(result.output)
    triton = next(check for check in report["checks"] if check["name"] == "triton")
    assert result.exit_code == 1
    assert not report["ready"]
    assert not triton["present"]
    assert "nvidia-pytriton" in triton["howto"]


def test_another_platform_is_refused_clearly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")

    check = next(iter(run_checks(StackSettings(tmp_path), stack_runs=True)))

    assert not check.present
    assert check.howto == "use Linux on x86-64"


def test_a_numpy_that_corrupts_tensors_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = tmp_path / "env"
    server = env / "lib/python3.11/site-packages/pytriton/tritonserver/bin/tritonserver"
    server.parent.mkdir(parents=True)
    server.touch()
    (env / "bin").mkdir()
    python = env / "bin/python"
    python.write_text("#!/bin/sh\necho 2.1.0 True\n")
    python.chmod(0o755)
    monkeypatch.setenv("HEIMDALLR_TRITON_ENV", str(env))

    checks = {check.name: check for check in run_checks(StackSettings(tmp_path), stack_runs=True)}

    assert not checks["triton"].present
    assert "NumPy 2.1.0" in checks["triton"].detail

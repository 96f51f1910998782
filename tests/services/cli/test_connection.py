from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.connection import NotRunningError, find_running, running_stack
from services.cli.stack.layout import Layout
from services.cli.stack.state import Addresses, StackState, write_state


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("services.cli.connection.default_data_folder", lambda: tmp_path / "own")
    return tmp_path


def _runs(data: Path, *, alive: bool = True) -> None:
    layout = Layout(data, data / "run")
    addresses = Addresses("http://127.0.0.1:1", "unix:m", "127.0.0.1", 1, "H", "", "")
    began = time.time() if alive else 1.0
    write_state(layout, StackState(os.getpid(), str(data), str(layout.run), began, addresses))


def test_a_state_left_by_a_dead_supervisor_is_no_running_stack(tmp_path: Path) -> None:
    _runs(tmp_path, alive=False)

    with pytest.raises(NotRunningError, match="nothing runs"):
        running_stack(tmp_path)


def test_without_a_folder_the_default_one_comes_first(home: Path) -> None:
    _runs(home / "own")
    _runs(home / "own-demo")

    assert running_stack(None).data == str(home / "own")


def test_without_a_folder_the_demo_is_found_where_only_it_runs(home: Path) -> None:
    _runs(home / "own", alive=False)
    _runs(home / "own-demo")

    assert running_stack(None).data == str(home / "own-demo")


def test_a_folder_that_was_given_is_the_only_one_looked_at(home: Path) -> None:
    _runs(home / "own-demo")

    assert find_running(home / "own") is None


@pytest.mark.parametrize("command", ["studies", "study 1.2", "replay 1.2", "token a"])
def test_every_command_says_in_one_line_that_nothing_runs(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--data", str(tmp_path)])

    assert result.exit_code == 3
    assert len(result.output.splitlines()) == 1


def test_a_file_in_place_of_the_folder_of_a_phantom_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    result = CliRunner().invoke(app, ["phantom", str(file)])

    assert result.exit_code == 1
    assert result.output == f"cannot use {file}: it is a file\n"


def test_a_folder_of_a_phantom_that_cannot_be_made_is_one_sentence() -> None:
    result = CliRunner().invoke(app, ["phantom", "/proc/none/of/it"])

    assert result.exit_code == 1
    assert result.output.startswith("cannot use /proc/none/of/it: ")
    assert len(result.output.splitlines()) == 1

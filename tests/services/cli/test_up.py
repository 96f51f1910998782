from __future__ import annotations

import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.stack import Stack, StackSettings
from services.cli.stack.process import ProcessStatus, State
from services.cli.voice import ScreenVoice
from tests.support.stack import OUR_PROCESSES, data_folder, heimdallr_up, stack_settings

__all__ = ["data_folder"]

_ONLY_ENVOY = OUR_PROCESSES | {"triton", "postgres"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--log-level", "loud"],
        ["--without", "nobody"],
        ["--http-port", "0"],
        ["--http-port", "9000", "--dicom-port", "9000"],
        ["--metrics-port", "8080"],
        ["--dicom-tls-port", "2762"],
        ["--dicom-tls-key", "/nonexistent/key.pem"],
        ["--database", "mysql://u:secret@h/d"],
    ],
)
def test_an_option_that_makes_no_sense_is_exit_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["up", *arguments])

    assert result.exit_code == 2
    assert "secret" not in result.output


@pytest.mark.envoy
def test_the_sign_in_link_is_shown_once(data_folder: Path) -> None:
    code = data_folder / "keys/sign-in"
    code.parent.mkdir(mode=0o700, parents=True)
    code.write_text("code of a former run\n")

    with heimdallr_up(stack_settings(data_folder, _ONLY_ENVOY)) as up:
        ready = up.wait_for("ready")
        code.write_text("one-time-code\n")

        told = up.wait_for("sign_in")

        assert told["link"] == f"{ready['http']}/sign-in#code=one-time-code"
        assert not code.exists()
        up.process.send_signal(signal.SIGTERM)
        assert up.finish() == 0


def test_a_stack_without_an_administrator_to_be_has_no_link(data_folder: Path) -> None:
    stack = Stack(stack_settings(data_folder))

    link = stack.take_sign_in_link()

    assert link is None


def test_a_fingerprint_is_shown_digit_by_digit(
    data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack(StackSettings(data_folder))
    stack.tls_fingerprint = ":".join(["AB", "0F"] * 16)

    ScreenVoice().ready(stack, 1.0)

    # ":AB:" is the name of a picture to the library that prints.
    assert capsys.readouterr().out.count(":".join(["AB", "0F"] * 8)) == 2


@pytest.mark.parametrize("arguments", [["--tls-certificate", "a.crt"], ["--tls-key", "a.key"]])
def test_a_certificate_without_its_key_makes_no_sense(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["up", *arguments])

    assert result.exit_code == 2


def test_a_crash_loop_after_a_good_start_is_told_once_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    voice = ScreenVoice()
    status = ProcessStatus("analysis", last_exit=-9)
    loop = [State.BACKOFF, State.STARTING] * 5
    for state in [State.WAITING, State.STARTING, State.READY, *loop, State.READY, *loop]:
        status.state = state
        voice.changed(status)

    told = capsys.readouterr().out

    assert told.count("analysis backoff (killed (signal 9), see its log)") == 2
    assert told.count("analysis ready") == 2
    assert told.count("analysis starting") == 1


@pytest.mark.parametrize(
    ("first_start", "words"), [(True, "First start: "), (False, "Nobody has signed in yet: ")]
)
def test_a_link_after_the_first_start_is_not_called_that(
    capsys: pytest.CaptureFixture[str], first_start: bool, words: str
) -> None:
    ScreenVoice().signed_in("http://link", first_start=first_start)

    assert capsys.readouterr().out.startswith(words)


def test_a_data_folder_that_cannot_be_made_is_one_sentence() -> None:
    result = CliRunner().invoke(app, ["up", "--data", "/proc/none"])

    assert result.exit_code == 1
    assert result.output.startswith("heimdallr up: cannot use /proc/none: ")
    assert len(result.output.splitlines()) == 1

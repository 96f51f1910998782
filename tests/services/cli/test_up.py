from __future__ import annotations

import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.cli.stack import Stack, StackSettings
from services.cli.up import ScreenVoice
from tests.support.stack import OUR_PROCESSES, data_folder, heimdallr_up, stack_settings

__all__ = ["data_folder"]

_ONLY_ENVOY = OUR_PROCESSES | {"triton", "postgres"}


@pytest.mark.parametrize(
    "arguments", [["--log-level", "loud"], ["--without", "nobody"], ["--http-port", "0"]]
)
def test_an_option_that_makes_no_sense_is_exit_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["up", *arguments])

    assert result.exit_code == 2


@pytest.mark.envoy
def test_the_sign_in_link_is_shown_once(data_folder: Path) -> None:
    with heimdallr_up(stack_settings(data_folder, _ONLY_ENVOY)) as up:
        ready = up.wait_for("ready")
        code = data_folder / "keys/sign-in"
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

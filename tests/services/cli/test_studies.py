from __future__ import annotations

import grpc
import pytest
from typer.testing import CliRunner

from heimdallr.archive.v1 import archive_service_pb2 as pb
from services.cli.__main__ import app
from services.cli.connection import _sentence
from services.cli.studies import _none
from services.runtime.client import ServiceCallError


@pytest.mark.parametrize("command", ["study", "replay"])
@pytest.mark.parametrize("name", ["", "  "])
def test_a_study_without_a_name_is_wrong_usage(command: str, name: str) -> None:
    result = CliRunner().invoke(app, [command, name])

    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["studies", "--state", "lost"], "processing"),
        (["token", "a", "--permission", "fly"], "archive_read"),
        (["up", "--without", "nobody"], "coordinator"),
    ],
)
def test_a_value_that_is_not_one_of_a_few_is_answered_with_those(
    arguments: list[str], value: str
) -> None:
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert value in result.output


def test_an_empty_list_tells_a_filter_from_an_empty_archive() -> None:
    assert _none(pb.ListStudiesRequest(modality="MR")) == "No study matches the filter."
    assert "heimdallr send" in _none(pb.ListStudiesRequest())


def test_a_reason_that_repeats_the_text_is_said_once() -> None:
    code, reason = grpc.StatusCode.NOT_FOUND, "ERROR_REASON_STUDY_NOT_FOUND"

    once = _sentence(ServiceCallError(code, reason, {}, "study not found"))
    both = _sentence(ServiceCallError(code, reason, {}, "not there"))

    assert once == "study not found"
    assert both == "not there (study not found)"

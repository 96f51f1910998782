"""What a person who supports peers asks of a running stack: what was said, and what is offered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from tests.integration.peers import sent_to_us
from tests.support.dcmtk import require_dcmtk
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]


def printed(stack: RunningStack, *arguments: str) -> str:
    """Return what a command prints."""
    result = CliRunner().invoke(app, [*arguments, "--data", str(stack.data)])
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_the_last_associations_are_shown(stack: RunningStack, tmp_path: Path) -> None:
    require_dcmtk()
    study_uid = sent_to_us(stack, tmp_path, 2)

    text = await asyncio.to_thread(printed, stack, "dicom", "recent", "--messages")
    document = await asyncio.to_thread(printed, stack, "dicom", "recent", "--json")

    last: dict[str, Any] = json.loads(document)[0]
    assert (last["calling_ae_title"], last["outcome"]) == ("STORESCU", "RELEASED")
    assert [m["kind"] for m in last["messages"]].count("C-STORE-RQ") == 2
    assert "C-STORE-RSP" in text
    assert study_uid not in document + text


async def test_the_conformance_statement_is_that_of_the_stack(stack: RunningStack) -> None:
    text = await asyncio.to_thread(printed, stack, "conformance")
    document = json.loads(await asyncio.to_thread(printed, stack, "conformance", "--json"))

    assert text.startswith("# DICOM conformance")
    assert document["ae_title"] == "HEIMDALLR"
    assert "C-MOVE" in {command for one in document["services"] for command in one["commands"]}


def test_a_command_without_a_stack_says_so(tmp_path: Path) -> None:
    for command in (["conformance"], ["dicom", "recent"]):
        result = CliRunner().invoke(app, [*command, "--data", str(tmp_path)])

        assert result.exit_code == 3
        assert "nothing runs" in result.output

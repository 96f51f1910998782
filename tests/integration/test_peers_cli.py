"""Peers from the command line, over a whole stack and an archive of DCMTK's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from tests.integration.peers import sent_to_us, written
from tests.support.dcmtk import dcmtk as run_dcmtk
from tests.support.dcmtk import require_dcmtk
from tests.support.dcmtk_peers import QueryRetrieveArchive
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

SECRET = "correct horse battery staple"


class Terminal:
    """Runs commands on a stack."""

    def __init__(self, stack: RunningStack) -> None:
        self._data = str(stack.data)
        self._runner = CliRunner()

    def run(self, *command: str, code: int = 0, said: str | None = None) -> str:
        result = self._runner.invoke(app, [*command, "--data", self._data], input=said)
        assert result.exit_code == code, result.output
        return result.output

    def json(self, *command: str, code: int = 0) -> Any:
        result = self._runner.invoke(app, [*command, "--json", "--data", self._data])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)


@pytest.fixture(scope="module")
def archive(stack: RunningStack) -> Iterator[QueryRetrieveArchive]:
    require_dcmtk()
    with QueryRetrieveArchive(destinations={"HEIMDALLR": stack.dicom_port}) as running:
        yield running


@pytest.fixture
def terminal(stack: RunningStack, archive: QueryRetrieveArchive) -> Iterator[Terminal]:
    found = Terminal(stack)
    place = f"ARCHIVE@127.0.0.1:{archive.port}"
    found.run("peers", "add", "shelf", "--zone", "inside", "--dimse", place)
    yield found
    found.run("peers", "remove", "shelf", "--yes")


def test_a_peer_is_registered_shown_changed_and_tested(
    terminal: Terminal, archive: QueryRetrieveArchive
) -> None:
    user = ("--user", "us", "--password-file", "-")
    changed = terminal.run(
        "peers", "edit", "shelf", *user, "--description", "Second floor", "--json", said=SECRET
    )
    tested = terminal.json("peers", "test", "shelf")
    listed = [peer for peer in terminal.json("peers", "list") if peer["spec"]["name"] == "shelf"]
    shown = terminal.run("peers", "list")

    assert SECRET not in changed + shown + json.dumps(listed)
    assert listed[0]["has_secret"]
    assert listed[0]["spec"]["description"] == "Second floor"
    assert listed[0]["spec"]["dimse"]["port"] == archive.port
    assert tested["echo"]["succeeded"], tested
    assert "shelf" in shown
    assert "inside" in shown


def test_a_study_is_pushed_found_and_fetched(
    terminal: Terminal, stack: RunningStack, archive: QueryRetrieveArchive, tmp_path: Path
) -> None:
    ours = sent_to_us(stack, tmp_path, 3)
    pushed = terminal.json("push", ours, "shelf", "--verify", "count")
    found = terminal.json("query", "shelf", f"StudyInstanceUID={ours}")
    table = terminal.run("query", "shelf", "PatientName=PHANTOM*")
    (tmp_path / "theirs").mkdir()
    theirs, paths = written(tmp_path / "theirs", 3)
    given = ["-aec", "ARCHIVE", "127.0.0.1", str(archive.port), *map(str, paths)]
    assert run_dcmtk("storescu", *given).returncode == 0
    fetched = terminal.json("fetch", "shelf", theirs)
    again = terminal.json("fetch", "shelf", theirs, "--by", "move")

    assert (pushed["total"], pushed["stored"], pushed["failed"]) == (3, 3, 0)
    assert pushed["verified"] is True
    assert {item["outcome"] for item in pushed["outcomes"]} == {"stored"}
    [match] = found["matches"]
    assert match["0020000D"]["Value"] == [ours]
    assert "PHANTOM^GATEWAY" in table
    assert fetched == {"by": "get", "stored": 3, "known": 0, "failed": 0}
    assert again == {"by": "move", "sent to us": 3, "failed": 0}


def test_what_is_wrong_is_said_and_told_by_the_exit_code(
    terminal: Terminal, stack: RunningStack, tmp_path: Path
) -> None:
    ours = sent_to_us(stack, tmp_path, 1)
    place = "CLOUD@127.0.0.1:9"
    terminal.run("peers", "add", "cloud", "--zone", "outside", "--dimse", place)
    try:
        outside = terminal.run("push", ours, "cloud", code=1)
        unreached = terminal.run("peers", "test", "cloud", code=1)
        unasked = terminal.run("query", "cloud", "Modality=CT", code=1)
    finally:
        terminal.run("peers", "remove", "cloud", "--yes")
    unknown = terminal.run("push", ours, "nobody", code=4)
    nothing = terminal.run("query", "shelf", "PatientID=NOBODY", code=1)
    address = terminal.run(
        "peers", "add", "x", "--zone", "inside", "--dimse", "A@169.254.169.254:1", code=1
    )
    no_zone = terminal.run("peers", "add", "x", "--dimse", place, code=2)
    form = terminal.run("peers", "add", "x", "--zone", "inside", "--dimse", "A:104", code=2)

    assert "outside" in outside
    assert "no connection" in unreached
    assert "no connection" in unasked
    assert "no such peer" in unknown
    assert "0 found" in nothing
    assert "spec.dimse.host" in address
    assert "inside or outside" in no_zone
    assert "AE@host:port" in form

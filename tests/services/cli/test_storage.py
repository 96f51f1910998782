"""What commands about storage say, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from heimdallr.storage.v1 import storage_service_pb2 as pb
from services.cli.__main__ import app
from services.cli.sizes import size_text
from services.cli.storage import _collection_text, _scrub_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (3 << 30, "3.0 GiB")],
)
def test_sizes_have_the_unit_that_suits_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_dry_run_says_would() -> None:
    told = _collection_text(pb.Collection(dry_run=True, set_aside_count=3, set_aside_bytes=2048))

    assert "3 (2.0 KiB) would be set aside" in told


def test_a_scrub_that_runs_says_how_far_it_is() -> None:
    told = _scrub_text(pb.Scrub(checked_count=5, total_count=9, corrupt_count=1))

    assert "at 5 of 9" in told
    assert "1 corrupt, 0 missing" in told


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["up", "--blobs", "ftp://store"], "s3://"),
        (["retention", "set", "a", "--days", "9", "--age-from", "birth"], "study-date"),
        (["site", "create", "Branch 1", "folder", "--mesh", "host:1"], "a-z"),
        (["site", "create", "branch", "folder", "--mesh", "host"], "HOST:PORT"),
        (["up", "--mtls", "--mesh-port", "8080"], "--http-port"),
    ],
)
def test_wrong_usage_is_told_with_what_is_right(arguments: list[str], value: str) -> None:
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert value in result.output


def test_a_site_of_a_stack_that_never_ran_is_refused(tmp_path: Path) -> None:
    arguments = ["site", "create", "branch", str(tmp_path / "site"), "--mesh", "host:1"]

    result = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path)])

    assert result.exit_code == 1
    assert "no stack has run" in result.output

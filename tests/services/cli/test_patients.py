"""``heimdallr patients`` names patients by our id, or by Patient ID and issuer."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from heimdallr.archive.v1 import archive_service_pb2 as pb
from services.cli.__main__ import app
from services.cli.patients import merge_text, request_of
from services.runtime.ids import new_id


def test_a_patient_is_named_by_our_id_or_by_id_and_issuer() -> None:
    key = new_id()

    assert request_of(key).patient_key == key
    assert request_of("A 1").identity == pb.PatientIdentity(patient_id="A 1")
    issued = pb.PatientIdentity(patient_id="A", issuer_of_patient_id="HOSPITAL")
    assert request_of("A^^^HOSPITAL").identity == issued


@pytest.mark.parametrize("arguments", [["show", " "], ["merge", "A", "B"], ["find"]])
def test_what_is_missing_is_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["patients", *arguments]).exit_code == 2


def test_a_merge_is_told_in_one_line_with_its_end() -> None:
    merge = pb.PatientMerge(
        merged_key="1", surviving_key="2", merged_by="anna", reason="registered twice"
    )
    merge.merge_time.FromJsonString("2026-01-02T03:04:05Z")

    in_force = merge_text(merge)
    merge.unmerge_time.FromJsonString("2026-01-03T00:00:00Z")
    merge.unmerged_by = "ben"

    assert in_force == "1 merged into 2 on 2026-01-02 03:04 UTC by anna: registered twice"
    assert merge_text(merge) == f"{in_force}; undone on 2026-01-03 00:00 UTC by ben"

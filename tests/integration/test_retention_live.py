"""Deleting, holding, collecting and scrubbing on a running stack, by the commands people type."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel
from tests.support.dcmtk import storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import settled

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

SLICES = 4


def command(stack: RunningStack, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments, "--data", str(stack.data)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout


def document(stack: RunningStack, *arguments: str, code: int = 0) -> Any:
    return json.loads(command(stack, *arguments, "--json", code=code))


async def test_a_study_is_held_then_deleted_and_what_stays_is_whole(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, tmp_path: Path
) -> None:
    study = PhantomStudy()
    write_series(ChestCtPhantom(8, shape=(SLICES, 48, 48)), tmp_path, study)
    storescu(stack.dicom_port, [tmp_path], "+sd")
    uid = study.study_instance_uid
    await settled(channel, uid)

    told = document(stack, "delete", uid)
    command(stack, "retention", "hold", uid, "--reason", "a trial")
    kept = document(stack, "delete", uid, "--yes", code=1)
    command(stack, "retention", "release", uid)
    deleted = document(stack, "delete", uid, "--yes")
    scrubbed = document(stack, "scrub", "--now")
    counted = document(stack, "collect", "--now", "--dry-run")["collection"]

    assert (told["deleted"], told["scope"]["instance_count"]) == (False, SLICES)
    assert kept["keepers"] == ["KEEPER_HOLD"]
    assert deleted["deleted"]
    request = archive_pb.ListStudiesRequest(study_instance_uid=uid)
    assert (await ArchiveServiceStub(channel).ListStudies(request)).studies == []
    assert (scrubbed["damages"], scrubbed["scrub"]["missing_count"]) == ([], "0")
    # Its bytes are there still: younger than the grace, and nothing names them.
    assert int(counted["young_count"]) >= SLICES
    assert (counted["set_aside_count"], counted["failed"]) == ("0", False)


@pytest.mark.soak
def test_a_rule_is_previewed_set_listed_and_removed(stack: RunningStack) -> None:
    preview = document(stack, "retention", "preview", "--days", "36500", "--modality", "ct")
    command(stack, "retention", "set", "very-old", "--days", "36500", "--disabled")
    rules = document(stack, "retention", "rules")["rules"]
    command(stack, "retention", "remove", "very-old")

    assert preview["study_count"] == "0"
    assert [(one["rule"]["name"], one["rule"]["enabled"]) for one in rules] == [("very-old", False)]
    assert "nothing is deleted by itself" in command(stack, "retention", "rules")

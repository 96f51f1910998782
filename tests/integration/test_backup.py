"""Backup, wipe, restore: the same studies, hashes and results; damage is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.running_stack import RunningStack, data_folder
from tests.support.studies import operator_channel, results, settled

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

SOME = ("--without", "triton")
PASSPHRASE = {"HEIMDALLR_BACKUP_PASSPHRASE": "a passphrase of the test"}


def command(
    *arguments: str, code: int = 0, environ: Mapping[str, str] | None = None
) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, **(environ or {})},
        timeout=120,
        check=False,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return dict(json.loads(done.stdout)) if done.stdout else {"refused": done.stderr}


async def everything(channel: MeshChannel) -> list[Any]:
    """Return all studies with their instances, hashes and results."""
    stub = ArchiveServiceStub(channel)
    found: list[Any] = []
    for study in (await stub.ListStudies(archive_pb.ListStudiesRequest())).studies:
        seen = await stub.GetStudy(archive_pb.GetStudyRequest(study_id=study.study_id))
        for series in seen.series:
            request = archive_pb.ListInstancesRequest(series_id=series.series_id, page_size=500)
            found.append((await stub.ListInstances(request)).SerializeToString(deterministic=True))
        made = await results(channel, study.study_id)
        found += [seen.study, made]
    return found


async def fetched(channel: MeshChannel, uid: str) -> bytes:
    """Return the report of a study."""
    study = await settled(channel, uid)
    pdf = (await results(channel, study.study_id)).report.pdf.sha256
    request = archive_pb.FetchResultRequest(study_id=study.study_id, sha256=pdf)
    return b"".join([one.data async for one in ArchiveServiceStub(channel).FetchResult(request)])


@dataclass
class Backed:
    """A stack with a study, and a folder for its backups."""

    stack: RunningStack
    folder: Path
    uid: str


@pytest.fixture(scope="module")
def backed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    require_dcmtk()
    files = tmp_path_factory.mktemp("study")
    study = PhantomStudy()
    write_series(ChestCtPhantom(3, shape=(4, 48, 48)), files, study)
    with RunningStack(arguments=SOME) as stack:
        assert storescu(stack.dicom_port, [files], "+sd").returncode == 0
        yield Backed(stack, tmp_path_factory.mktemp("backups"), study.study_instance_uid)


async def test_backup_wipe_restore_gives_the_same_studies_hashes_and_results(
    backed: Backed,
) -> None:
    data = data_folder()
    async with operator_channel(backed.stack) as channel:
        report = await fetched(channel, backed.uid)
        before = await everything(channel)
    issuer = (backed.stack.data / "keys" / "issuer.pem").read_bytes()

    made = command(
        "backup", str(backed.folder), "--data", str(backed.stack.data), environ=PASSPHRASE
    )
    restored = command("restore", str(backed.folder), "--data", str(data), environ=PASSPHRASE)

    assert (made["study_count"], made["instance_count"]) == (1, 4)
    assert made["blob_count"] == made["copied_count"] == restored["copied_count"] > 4
    assert (data / "keys" / "issuer.pem").read_bytes() == issuer
    with RunningStack(data=data, arguments=SOME) as again:
        async with operator_channel(again) as channel:
            assert await everything(channel) == before
            assert await fetched(channel, backed.uid) == report


@pytest.mark.soak
def test_what_lies_in_the_folder_already_is_not_copied_again(backed: Backed) -> None:
    data = ("--data", str(backed.stack.data))
    command("backup", str(backed.folder), *data)

    again = command("backup", str(backed.folder), *data)
    verified = command("backup", str(backed.folder), "--verify")

    assert (again["copied_count"], again["keys"]) == (0, None)
    assert (verified["snapshot"], verified["damaged"]) == (again["snapshot"], [])


@pytest.mark.soak
def test_a_damaged_backup_is_told_and_restored_no_further(backed: Backed, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    command("backup", str(backed.folder), "--data", str(backed.stack.data))
    shutil.copytree(backed.folder, folder)
    blob = next(path for path in sorted(folder.glob("blobs/??/*")))
    blob.write_bytes(b"damaged")
    dump = sorted(folder.glob("snapshots/*/database.dump"))[-1]
    whole = dump.read_bytes()

    verified = command("backup", str(folder), "--verify", code=1)
    dump.write_bytes(whole[:-1])
    refused = command("restore", str(folder), "--data", str(tmp_path / "new"), code=1)

    assert verified["damaged"] == [blob.name]
    assert "is not what the manifest says" in refused["refused"]
    assert not (tmp_path / "new").exists()


@pytest.mark.soak
def test_a_data_folder_that_is_not_empty_is_left_alone(backed: Backed) -> None:
    command("backup", str(backed.folder), "--data", str(backed.stack.data))

    refused = command("restore", str(backed.folder), "--data", str(backed.stack.data), code=1)

    assert "is not empty" in refused["refused"]


@pytest.mark.soak
def test_a_wrong_passphrase_restores_nothing(backed: Backed, tmp_path: Path) -> None:
    command("backup", str(backed.folder), "--data", str(backed.stack.data), environ=PASSPHRASE)

    refused = command(
        "restore",
        str(backed.folder),
        "--data",
        str(tmp_path / "new"),
        code=1,
        environ={"HEIMDALLR_BACKUP_PASSPHRASE": "another"},
    )

    assert "the keys do not open" in refused["refused"]
    assert not (tmp_path / "new" / "postgres").exists()

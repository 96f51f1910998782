"""A stack whose blobs lie in S3: received, worked on, read, collected, backed up and restored."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.retention.v1 import retention_service_pb2 as retention_pb
from heimdallr.retention.v1.retention_service_pb2_grpc import RetentionServiceStub
from heimdallr.storage.v1 import storage_service_pb2 as storage_pb
from heimdallr.storage.v1.storage_service_pb2_grpc import StorageServiceStub
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.object_stores import BUCKET, ObjectServer, s3
from tests.support.running_stack import RunningStack, data_folder
from tests.support.studies import operator_channel, results, settled

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk, pytest.mark.soak]

SLICES = 4


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with s3() as running:
        yield running


@pytest.fixture(scope="module")
def stack(server: ObjectServer) -> Iterator[RunningStack]:
    require_dcmtk()
    environ = {**server.environ, "HEIMDALLR_STORAGE_GRACE_HOURS": "0.0001"}
    arguments = ("--blobs", server.url, "--without", "triton")
    with RunningStack(arguments=arguments, environ=environ) as running:
        yield running


def objects(server: ObjectServer) -> set[str]:
    """Return the names of all objects of the stack."""
    store = S3Store(
        BUCKET,
        prefix="site",
        endpoint=server.environ["AWS_ENDPOINT"],
        access_key_id="testing",
        secret_access_key="testing",
        region="us-east-1",
        client_options={"allow_http": True},
    )
    return {item["path"] for page in obstore.list(store) for item in page}


async def test_a_study_is_received_worked_on_and_read_from_the_object_store(
    stack: RunningStack, server: ObjectServer, tmp_path: Path
) -> None:
    study = PhantomStudy()
    write_series(ChestCtPhantom(5, shape=(SLICES, 48, 48)), tmp_path, study)

    sent = storescu(stack.dicom_port, [tmp_path], "+sd")
    async with operator_channel(stack) as channel:
        found = await settled(channel, study.study_instance_uid)
        made = await results(channel, found.study_id)
        whole = await _fetched(channel, found.study_id)

    assert sent.returncode == 0
    assert found.state == archive_pb.STUDY_STATE_READY
    hashes = {hashlib.sha256(data).hexdigest() for data in whole} | {made.report.pdf.sha256}
    assert len(hashes) == SLICES + 1
    assert {f"{sha256[:2]}/{sha256}" for sha256 in hashes} <= objects(server)
    assert list((stack.data / "spool").glob("??/*")) == []
    assert not (stack.data / "blobs").exists() or not list((stack.data / "blobs").glob("??/*"))


async def test_what_was_deleted_leaves_the_object_store(
    stack: RunningStack, server: ObjectServer, tmp_path: Path
) -> None:
    study = PhantomStudy()
    write_series(ChestCtPhantom(6, shape=(SLICES, 48, 48)), tmp_path, study)
    storescu(stack.dicom_port, [tmp_path], "+sd")
    async with operator_channel(stack) as channel:
        found = await settled(channel, study.study_instance_uid)
        names = await _names(channel, found.study_id)
        before = objects(server)
        request = retention_pb.DeleteStudyRequest(study_id=found.study_id)
        await RetentionServiceStub(channel).DeleteStudy(request)
        await asyncio.sleep(1)
        first = await _collected(channel)
        aside = objects(server)
        await asyncio.sleep(2)
        second = await _collected(channel)

    assert names <= before
    assert not names & aside
    assert first.set_aside_count >= SLICES
    assert second.deleted_count >= SLICES
    assert not {name for name in objects(server) if name.startswith("aside/")}


def test_a_scrub_reads_the_object_store(stack: RunningStack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "scrub", "--now", "--json", "--data", stack.data],
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ},
    )

    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert int(found["scrub"]["checked_count"]) >= SLICES
    assert found["damages"] == []


async def test_a_backup_of_it_is_restored_into_an_object_store(
    stack: RunningStack, server: ObjectServer, tmp_path: Path
) -> None:
    study = PhantomStudy()
    (tmp_path / "files").mkdir()
    write_series(ChestCtPhantom(7, shape=(SLICES, 48, 48)), tmp_path / "files", study)
    storescu(stack.dicom_port, [tmp_path / "files"], "+sd")
    async with operator_channel(stack) as channel:
        found = await settled(channel, study.study_instance_uid)
        before = await _fetched(channel, found.study_id)
    data, other = data_folder(), server.url.replace("/site", "/other")
    folder = str(tmp_path / "backup")

    made = _command(server, "backup", folder, "--data", str(stack.data))
    restored = _command(server, "restore", folder, "--data", str(data), "--blobs", other)

    assert made["damaged"] == restored["damaged"] == []
    assert made["copied_count"] == restored["copied_count"] > SLICES
    arguments = ("--blobs", other, "--without", "triton")
    with RunningStack(data=data, arguments=arguments, environ=dict(server.environ)) as again:
        async with operator_channel(again) as channel:
            assert await _fetched(channel, found.study_id) == before


def _command(server: ObjectServer, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments, "--json"],
        capture_output=True,
        timeout=200,
        check=False,
        env={**os.environ, **server.environ},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def _collected(channel: MeshChannel) -> storage_pb.Collection:
    stub = StorageServiceStub(channel)
    started = (await stub.StartCollection(storage_pb.StartCollectionRequest())).collection
    async with asyncio.timeout(60):
        while True:
            found = (await stub.GetCollection(storage_pb.GetCollectionRequest())).collection
            if found.collection_id == started.collection_id and found.HasField("end_time"):
                assert not found.failed
                return found
            await asyncio.sleep(0.2)


async def _instances(channel: MeshChannel, study_id: str) -> list[Any]:
    stub = ArchiveServiceStub(channel)
    series = (await stub.GetStudy(archive_pb.GetStudyRequest(study_id=study_id))).series
    request = archive_pb.ListInstancesRequest(series_id=series[0].series_id)
    return list((await stub.ListInstances(request)).instances)


async def _names(channel: MeshChannel, study_id: str) -> set[str]:
    hashes = [one.blob.sha256 for one in await _instances(channel, study_id)]
    return {f"{sha256[:2]}/{sha256}" for sha256 in hashes}


async def _fetched(channel: MeshChannel, study_id: str) -> list[bytes]:
    stub, found = ArchiveServiceStub(channel), []
    for instance in await _instances(channel, study_id):
        request = archive_pb.FetchInstanceRequest(instance_id=instance.instance_id)
        found.append(b"".join([one.data async for one in stub.FetchInstance(request)]))
    return found

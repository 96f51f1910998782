"""A stack with mTLS, and a gateway of another place that streams to it; strangers are refused."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from services.cli.stack.mesh_ca import MeshCa
from services.cli.stack.ports import free_ports
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel, ServiceCallError, open_channel, typed_errors
from services.runtime.mesh_address import MtlsAddress, mtls_address
from services.runtime.token_source import FileTokenSource
from tests.support.dcmtk import echoscu, require_dcmtk, storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

SLICES = 4


@dataclass
class Site:
    """A gateway of another place.

    Attributes:
        identity: Its certificate and token.
        data: Its spool and journal.
        port: Where modalities reach it.
    """

    identity: Path
    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until modalities are answered."""
        where = ("--data", str(self.data), "--dicom-port", str(self.port))
        self.process = subprocess.Popen(
            [*_HEIMDALLR, "site", "run", str(self.identity), *where],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while echoscu(self.port).returncode != 0:
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def spooled(self) -> list[Path]:
        """Return what waits to be sent on."""
        return list((self.data / "spool").glob("??/*"))


_HEIMDALLR = (sys.executable, "-m", "services.cli")


@pytest.fixture(scope="module")
def mutual() -> Iterator[RunningStack]:
    require_dcmtk()
    (mesh_port,) = free_ports(1)
    arguments = ("--mtls", "--mesh-port", str(mesh_port), "--without", "triton")
    with RunningStack(arguments=arguments) as stack:
        yield stack


@pytest.fixture(scope="module")
def site(mutual: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    address = mtls_address(mutual.state.addresses.mesh)
    assert address is not None
    where = ("--data", str(mutual.data), "--mesh", address.target)
    made = subprocess.run(
        [*_HEIMDALLR, "site", "create", "branch", str(folder / "identity"), *where, "--json"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(made.stdout)["site"] == "branch"
    placed = Site(folder / "identity", folder / "data", free_ports(1)[0])
    placed.start()
    yield placed
    placed.stop()


def send(port: int, folder: Path, seed: int) -> str:
    """Send a small study and return its Study Instance UID."""
    study = PhantomStudy()
    write_series(ChestCtPhantom(seed, shape=(SLICES, 32, 32)), folder, study)
    assert storescu(port, [folder], "+sd").returncode == 0
    return study.study_instance_uid


async def arrived(channel: MeshChannel, uid: str, timeout_s: float = 60) -> archive_pb.Study:
    stub, request = (
        ArchiveServiceStub(channel),
        archive_pb.ListStudiesRequest(study_instance_uid=uid),
    )
    async with asyncio.timeout(timeout_s):
        while True:
            studies: Sequence[archive_pb.Study] = ()
            with suppress(grpc.aio.AioRpcError):  # the coordinator may be being started again
                studies = (await stub.ListStudies(request)).studies
            if studies and studies[0].instance_count == SLICES:
                return studies[0]
            await asyncio.sleep(0.2)


async def test_processes_of_a_stack_work_over_mutual_tls(
    mutual: RunningStack, tmp_path: Path
) -> None:
    uid = send(mutual.dicom_port, tmp_path, 1)

    async with operator_channel(mutual) as channel:
        study = await arrived(channel, uid)

    assert study.instance_count == SLICES
    assert mutual.state.addresses.mesh.startswith("mtls:")
    assert not list(Path(mutual.state.run).glob("coordinator.sock"))


async def test_a_gateway_elsewhere_streams_what_it_receives(
    mutual: RunningStack, site: Site, tmp_path: Path
) -> None:
    uid = send(site.port, tmp_path, 2)

    async with operator_channel(mutual) as channel:
        study = await arrived(channel, uid)
        fetched = await _fetched(channel, study.study_id)

    assert len(fetched) == SLICES
    assert all(data[128:132] == b"DICM" for data in fetched)
    assert site.spooled() == []


@pytest.mark.soak
async def test_what_came_while_the_stack_was_away_follows(
    mutual: RunningStack, site: Site, tmp_path: Path
) -> None:
    coordinator, envoy = mutual.pid("coordinator"), mutual.pid("envoy")
    for process in (coordinator, envoy):
        os.kill(process, signal.SIGSTOP)
    try:
        uid = send(site.port, tmp_path, 3)
        waiting = len(site.spooled())
    finally:
        for process in (coordinator, envoy):
            os.kill(process, signal.SIGCONT)

    async with operator_channel(mutual) as channel:
        await arrived(channel, uid)

    assert waiting == SLICES


@pytest.mark.soak
async def test_a_killed_coordinator_is_reached_again(
    mutual: RunningStack, site: Site, tmp_path: Path
) -> None:
    before = mutual.pid("coordinator")
    mutual.kill("coordinator")
    uid = send(site.port, tmp_path, 4)

    async with operator_channel(mutual) as channel:
        await arrived(channel, uid, timeout_s=120)

    assert mutual.pid("coordinator") != before


async def refusal(address: str, token: str | None) -> ServiceCallError:
    source = FileTokenSource(Path(token)) if token is not None else None
    async with open_channel(address, source, timeout_s=3) as channel:
        with pytest.raises(ServiceCallError) as caught, typed_errors():
            await ArchiveServiceStub(channel).ListStudies(archive_pb.ListStudiesRequest())
    return caught.value


async def test_a_certificate_of_another_authority_is_refused(
    mutual: RunningStack, site: Site, tmp_path: Path
) -> None:
    address = mtls_address(mutual.state.addresses.mesh)
    assert address is not None
    stranger = tmp_path / "stranger"
    MeshCa(tmp_path).provide("gateway", stranger)
    # It trusts the real mesh, and shows a certificate that the mesh did not sign.
    shutil.copy(site.identity / "ca.crt", stranger / "ca.crt")
    token = str(site.identity / "token.jwt")

    error = await refusal(str(MtlsAddress(stranger, address.host, address.port)), token)
    ours = await refusal(str(MtlsAddress(site.identity, address.host, address.port)), None)

    assert error.code is grpc.StatusCode.UNAVAILABLE
    assert ours.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_mesh_of_another_authority_is_not_trusted(
    mutual: RunningStack, site: Site, tmp_path: Path
) -> None:
    address = mtls_address(mutual.state.addresses.mesh)
    assert address is not None
    deceived = tmp_path / "deceived"
    shutil.copytree(site.identity, deceived)
    MeshCa(tmp_path)
    shutil.copy(tmp_path / "mesh-ca.crt", deceived / "ca.crt")

    error = await refusal(
        str(MtlsAddress(deceived, address.host, address.port)), str(site.identity / "token.jwt")
    )

    assert error.code is grpc.StatusCode.UNAVAILABLE


async def test_without_a_certificate_nothing_is_answered(mutual: RunningStack, site: Site) -> None:
    address = mtls_address(mutual.state.addresses.mesh)
    assert address is not None

    error = await refusal(address.target, str(site.identity / "token.jwt"))

    assert error.code is grpc.StatusCode.UNAVAILABLE


async def _fetched(channel: MeshChannel, study_id: str) -> list[bytes]:
    stub = ArchiveServiceStub(channel)
    series = (await stub.GetStudy(archive_pb.GetStudyRequest(study_id=study_id))).series
    listed = await stub.ListInstances(
        archive_pb.ListInstancesRequest(series_id=series[0].series_id)
    )
    found = []
    for instance in listed.instances:
        request = archive_pb.FetchInstanceRequest(instance_id=instance.instance_id)
        found.append(b"".join([one.data async for one in stub.FetchInstance(request)]))
    return found

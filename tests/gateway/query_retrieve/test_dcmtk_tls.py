"""DCMTK's users by TLS, with certificates both ways; and a query that DCMTK cancels."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from gateway.dimse.settings import DicomSettings
from heimdallr.archive.v1 import archive_service_pb2 as archive
from tests.gateway.conftest import RunningGateway, Start, until
from tests.gateway.held import hold
from tests.support.certificates import Authority
from tests.support.dcmtk import dcmtk, require_dcmtk
from tests.support.dcmtk_peers import Provider
from tests.support.instances import ct_instance
from tests.support.tls_tunnel import tls_tunnel

pytestmark = pytest.mark.dcmtk


class Secured:
    """An authority, a gateway's settings and the options of a client, all of one kind."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        server, self.client = self.authority.issue("server"), self.authority.issue("client")
        self.settings = DicomSettings(
            tls_address="127.0.0.1:0",
            tls_certificate=server.certificate,
            tls_key=server.key,
            tls_client_ca=self.authority.file,
            tls_client_certificate="required",
        )
        pair = (str(self.client.key), str(self.client.certificate))
        self.options = ("+tls", *pair, "+cf", str(self.authority.file))

    async def run(
        self, gateway: RunningGateway, tool: str, *options: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of DCMTK's users that speak plain TCP alone against the TLS port."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.load_cert_chain(self.client.certificate, self.client.key)
        async with tls_tunnel(gateway.gateway.tls_port, context) as port:
            whole = ("-v", "-S", "-aec", "HEIMDALLR", *options, "127.0.0.1", str(port))
            return await asyncio.to_thread(dcmtk, tool, *whole)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    require_dcmtk()
    return Secured(tmp_path_factory.mktemp("tls"))


def study(uid: str) -> tuple[str, ...]:
    return ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}")


async def test_findscu_finds_by_tls(start_gateway: Start, secured: Secured, tmp_path: Path) -> None:
    gateway = await start_gateway(dicom=secured.settings)
    gateway.coordinator.peers.add("FINDSCU")
    row = archive.QueryRow(study=archive.Study(study_instance_uid="1.2.3"))
    gateway.coordinator.archive.batches = [[row]]

    port = str(gateway.gateway.tls_port)
    command = ("-S", "-aec", "HEIMDALLR", *secured.options, "-X", "-od", str(tmp_path))
    keys = (*study("1.2.3"), "-k", "PatientName")
    found = await asyncio.to_thread(dcmtk, "findscu", *command, *keys, "127.0.0.1", port)

    assert found.returncode == 0, found.stderr
    [answer] = tmp_path.iterdir()
    assert dcmread(answer, force=True).StudyInstanceUID == "1.2.3"


async def test_getscu_gets_by_tls(start_gateway: Start, secured: Secured, tmp_path: Path) -> None:
    gateway = await start_gateway(dicom=secured.settings)
    gateway.coordinator.peers.add("GETSCU")
    dataset = ct_instance(size=300)
    await hold(gateway, [dataset])

    got = await secured.run(
        gateway, "getscu", "-od", str(tmp_path), *study(dataset.StudyInstanceUID)
    )

    assert got.returncode == 0, got.stderr
    [received] = tmp_path.iterdir()
    assert dcmread(received).PixelData == dataset.PixelData


async def test_movescu_moves_by_tls_to_a_destination_by_tls(
    start_gateway: Start, secured: Secured
) -> None:
    gateway = await start_gateway(dicom=secured.settings)
    gateway.coordinator.peers.add("MOVESCU")
    uid = generate_uid()
    datasets = [ct_instance(study_uid=uid, number=n) for n in range(3)]
    await hold(gateway, datasets)
    pem = secured.authority.file.read_text()

    with Provider(secured.options) as there:
        address = {"tls": True, "tls_ca_pem": pem}
        gateway.coordinator.peers.add("DEST", there.port, move_destination=True, dimse=address)
        gateway.coordinator.peers.show("DEST", secured.client)
        moved = await secured.run(gateway, "movescu", "-aem", "DEST", *study(uid))
        arrived = {dcmread(path).SOPInstanceUID for path in there.files}

    assert moved.returncode == 0, moved.stderr
    assert arrived == {d.SOPInstanceUID for d in datasets}


@pytest.mark.parametrize("trusted", [False, True])
async def test_a_destination_whose_certificate_proves_nothing_gets_nothing(
    start_gateway: Start, secured: Secured, tmp_path: Path, trusted: bool
) -> None:
    gateway = await start_gateway()
    gateway.coordinator.peers.add("MOVESCU")
    dataset = ct_instance()
    await hold(gateway, [dataset])
    authority = secured.authority if trusted else Authority(tmp_path, "Other authority")

    with Provider(secured.options) as there:
        address = {"tls": True, "tls_ca_pem": authority.file.read_text()}
        gateway.coordinator.peers.add("DEST", there.port, move_destination=True, dimse=address)
        gateway.coordinator.peers.show("DEST", secured.client)
        command = ("-S", "-aec", "HEIMDALLR", "-aem", "DEST", *study(dataset.StudyInstanceUID))
        await asyncio.to_thread(dcmtk, "movescu", *command, "127.0.0.1", str(gateway.port))

        assert len(there.files) == trusted


async def test_a_query_that_dcmtk_cancels_ends(start_gateway: Start) -> None:
    require_dcmtk()
    gateway = await start_gateway()
    gateway.coordinator.peers.add("FINDSCU")
    row = archive.QueryRow(study=archive.Study(study_instance_uid="1.2.3"))
    gateway.coordinator.archive.batches = [[row] * 200] * 500

    command = ("-d", "-S", "-aec", "HEIMDALLR", "--cancel", "1", *study(""), "127.0.0.1")
    found = await asyncio.to_thread(dcmtk, "findscu", *command, str(gateway.port))

    assert "0xfe00" in found.stderr.lower()
    await until(lambda: gateway.coordinator.archive.ended == 1)
    assert gateway.coordinator.archive.sent < 500

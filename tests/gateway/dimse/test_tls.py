"""DICOM over TLS: who gets through the handshake, and who does not (PS3.15 section B.12)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.dimse.settings import DicomSettings
from gateway.dimse.tls import TlsFilesError, server_context
from tests.gateway.conftest import RunningGateway, Start, until
from tests.support.certificates import Authority, Identity
from tests.support.dcmtk import echoscu, require_dcmtk, storescu
from tests.support.instances import ct_instance, encoded, part10
from tests.support.scu import Scu

Secured = Callable[..., DicomSettings]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Identity:
    return authority.issue("server")


@pytest.fixture(scope="module")
def client(authority: Authority) -> Identity:
    return authority.issue("client")


@pytest.fixture
def secured(authority: Authority, server: Identity) -> Secured:
    """Give settings with TLS on a free port."""

    def settings(**more: Any) -> DicomSettings:
        return DicomSettings(
            tls_address="127.0.0.1:0",
            tls_certificate=server.certificate,
            tls_key=server.key,
            tls_client_ca=authority.file,
            **more,
        )

    return settings


class TlsScu(Scu):
    """One connection to a provider by TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


def trusting(authority: Authority, identity: Identity | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


def stores(port: int, context: ssl.SSLContext) -> int:
    dataset = ct_instance(size=300)
    with TlsScu(port, context) as scu:
        scu.associate()
        status = scu.store(encoded(dataset), dataset.SOPInstanceUID)
        assert scu.release() == 0x06
        return status


async def is_refused(gateway: RunningGateway, context: ssl.SSLContext) -> bool:
    def knock() -> bool:
        try:
            with TlsScu(gateway.gateway.tls_port, context) as scu:
                return scu.associate()[0] == 0
        except (ssl.SSLError, ConnectionError):
            return True

    return await asyncio.to_thread(knock)


async def test_an_instance_is_stored_by_tls_1_3(
    start_gateway: Start, secured: Secured, authority: Authority
) -> None:
    gateway = await start_gateway(dicom=secured())

    status = await asyncio.to_thread(stores, gateway.gateway.tls_port, trusting(authority))

    assert status == 0x0000
    assert len(gateway.intake.rows) == 1
    [record] = gateway.gateway.recorder.recent(10)
    assert record.tls == "TLSv1.3"


@pytest.mark.dcmtk
async def test_dcmtk_stores_and_verifies_by_tls_with_its_certificate(
    start_gateway: Start,
    secured: Secured,
    authority: Authority,
    client: Identity,
    tmp_path: Path,
) -> None:
    require_dcmtk()
    gateway = await start_gateway(dicom=secured(tls_client_certificate="required"))
    path = tmp_path / "ct.dcm"
    path.write_bytes(part10(ct_instance(size=300)))
    tls = ("+tls", str(client.key), str(client.certificate), "+cf", str(authority.file))
    port = gateway.gateway.tls_port

    echoed = await asyncio.to_thread(echoscu, port, *tls)
    stored = await asyncio.to_thread(storescu, port, [path], *tls)

    assert (echoed.returncode, stored.returncode) == (0, 0), stored.stderr
    assert len(gateway.intake.rows) == 1


async def test_a_peer_without_certificate_is_refused_where_one_is_required(
    start_gateway: Start, secured: Secured, authority: Authority, client: Identity
) -> None:
    gateway = await start_gateway(dicom=secured(tls_client_certificate="required"))

    assert await is_refused(gateway, trusting(authority))
    await until(lambda: len(gateway.coordinator.audit.denied) == 1)
    assert gateway.coordinator.audit.denied[0].method == "/dicom.Dimse/TLS"

    good = trusting(authority, client)
    assert await asyncio.to_thread(stores, gateway.gateway.tls_port, good) == 0x0000


@pytest.mark.parametrize("kind", ["expired", "of another authority"])
async def test_a_certificate_that_proves_nothing_is_refused(
    start_gateway: Start, secured: Secured, authority: Authority, tmp_path: Path, kind: str
) -> None:
    gateway = await start_gateway(dicom=secured(tls_client_certificate="required"))
    if kind == "expired":
        bad = authority.issue("expired", days=-1)
    else:
        bad = Authority(tmp_path, "Other authority").issue("other")

    assert await is_refused(gateway, trusting(authority, bad))
    assert gateway.intake.rows == {}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_tls_is_refused(
    start_gateway: Start, secured: Secured, authority: Authority, version: ssl.TLSVersion
) -> None:
    gateway = await start_gateway(dicom=secured())
    context = trusting(authority)
    context.minimum_version = version
    context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")

    assert await is_refused(gateway, context)


async def test_tls_1_2_can_be_left_out(
    start_gateway: Start, secured: Secured, authority: Authority
) -> None:
    old = trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    gateway = await start_gateway(dicom=secured(tls_minimum="1.3"))

    assert await is_refused(gateway, old)
    assert not await is_refused(gateway, trusting(authority))


async def test_plain_dicom_on_the_tls_port_is_cut(start_gateway: Start, secured: Secured) -> None:
    gateway = await start_gateway(dicom=secured())

    def knock() -> int:
        with Scu(gateway.gateway.tls_port) as scu:
            return scu.associate()[0]

    assert await asyncio.to_thread(knock) != 0x02


async def test_peers_that_begin_no_handshake_do_not_keep_others_out(
    start_gateway: Start, secured: Secured, authority: Authority
) -> None:
    gateway = await start_gateway(dicom=secured(), max_waiting=20, max_waiting_per_address=20)
    port = gateway.gateway.tls_port
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    try:
        began = time.monotonic()
        status = await asyncio.to_thread(stores, port, trusting(authority))

        assert status == 0x0000
        assert time.monotonic() - began < 5
    finally:
        for peer in idle:
            peer.close()


async def test_a_handshake_that_does_not_end_is_ended(
    start_gateway: Start, secured: Secured
) -> None:
    gateway = await start_gateway(dicom=secured(), negotiate_timeout_s=0.3)

    def wait() -> bytes:
        with socket.create_connection(("127.0.0.1", gateway.gateway.tls_port), 10) as peer:
            try:
                return peer.recv(100)
            except ConnectionResetError:
                return b""

    assert await asyncio.wait_for(asyncio.to_thread(wait), 8) == b""


def test_tls_without_its_files_is_wrong_configuration(tmp_path: Path, server: Identity) -> None:
    with pytest.raises(ValidationError):
        DicomSettings(tls_address="127.0.0.1:0")
    with pytest.raises(ValidationError):
        DicomSettings(
            tls_address="127.0.0.1:0",
            tls_certificate=server.certificate,
            tls_key=server.key,
            tls_client_certificate="required",
        )
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(TlsFilesError, match="tls_certificate"):
        server_context(
            DicomSettings(tls_address="127.0.0.1:0", tls_certificate=empty, tls_key=server.key)
        )

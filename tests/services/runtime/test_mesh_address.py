"""Addresses behind mutual TLS, and who may use them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.stack.mesh_ca import MeshCa
from services.cli.stack.readiness import grpc_serving
from services.runtime.listening import listen
from services.runtime.mesh_address import MtlsAddress, mtls_address
from services.runtime.open_health import OpenHealth


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[MtlsAddress]:
    MeshCa(tmp_path / "keys").provide("server", tmp_path / "server")
    server = grpc.aio.server()
    health = OpenHealth()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    address = mtls_address(listen(server, f"mtls:{tmp_path}/server@127.0.0.1:0"))
    assert address is not None
    await server.start()
    yield address
    await server.stop(0)


async def test_a_caller_of_the_same_authority_is_answered(
    served: MtlsAddress, tmp_path: Path
) -> None:
    MeshCa(tmp_path / "keys").provide("client", tmp_path / "client")

    assert await grpc_serving(f"mtls:{tmp_path}/client@{served.target}")()


async def test_a_caller_of_another_authority_is_not(served: MtlsAddress, tmp_path: Path) -> None:
    MeshCa(tmp_path / "other").provide("client", tmp_path / "client")
    (tmp_path / "client" / "ca.crt").write_bytes((served.folder / "ca.crt").read_bytes())

    assert not await grpc_serving(f"mtls:{tmp_path}/client@{served.target}")()


async def test_a_caller_without_a_certificate_is_not(served: MtlsAddress) -> None:
    assert not await grpc_serving(served.target)()


async def test_an_identity_that_is_not_there_is_no_answer(
    served: MtlsAddress, tmp_path: Path
) -> None:
    assert not await grpc_serving(f"mtls:{tmp_path}/nobody@{served.target}")()


def test_a_good_identity_is_kept_and_one_of_another_authority_replaced(tmp_path: Path) -> None:
    MeshCa(tmp_path / "keys").provide("client", tmp_path / "client")
    first = (tmp_path / "client" / "tls.crt").read_bytes()
    MeshCa(tmp_path / "keys").provide("client", tmp_path / "client")
    again = (tmp_path / "client" / "tls.crt").read_bytes()
    MeshCa(tmp_path / "other").provide("client", tmp_path / "client")

    assert again == first
    assert (tmp_path / "client" / "tls.crt").read_bytes() != first
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "client").iterdir())


@pytest.mark.parametrize("address", ["unix:/a/b", "127.0.0.1:80", "host:1"])
def test_another_address_is_none_behind_mutual_tls(address: str) -> None:
    assert mtls_address(address) is None


@pytest.mark.parametrize(
    "address", ["mtls:", "mtls:relative@host:1", "mtls:/a@host", "mtls:/a@host:70000"]
)
def test_half_an_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="mtls:/folder@host:port"):
        mtls_address(address)


def test_an_address_reads_as_it_is_written() -> None:
    text = "mtls:/keys/mesh/gateway@10.0.0.5:8443"

    address = mtls_address(text)

    assert address == MtlsAddress(Path("/keys/mesh/gateway"), "10.0.0.5", 8443)
    assert str(address) == text

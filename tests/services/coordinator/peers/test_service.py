"""The registry of peers, called through a real channel with rows in a real PostgreSQL."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.peers.v1 import peers_service_pb2 as pb
from heimdallr.peers.v1 import peers_service_pb2_grpc as pb_grpc
from services.coordinator.peers.messages import spec_from_proto
from services.coordinator.peers.rules import check_spec
from services.coordinator.peers.service import PeersService
from services.coordinator.peers.store import PeerStore
from services.coordinator.peers.vault import Vault
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.permissions import ROLE_PERMISSIONS, SERVICE_PERMISSIONS
from services.runtime.postgres import Pool
from tests.support.mesh import RunningServer, running_server
from tests.support.peer_certificates import certificate_and_key
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres

ADMIN = Permission.PERMISSION_PEERS_ADMIN
READ = Permission.PERMISSION_PEERS_READ
USE = Permission.PERMISSION_PEERS_USE
Stub = Any
SECRET = "correct horse battery staple"


@pytest.fixture
async def server(pool: Pool, tmp_path: Path) -> AsyncIterator[RunningServer]:
    await apply(pool, ["services.coordinator.peers"])
    service = PeersService(PeerStore(pool, Vault.load_or_create(tmp_path / "peers.key")))

    def add(target: grpc.aio.Server) -> None:
        pb_grpc.add_PeersServiceServicer_to_server(service, target)

    async with running_server(tmp_path, add) as running:
        yield running


@pytest.fixture
def admin(server: RunningServer) -> Stub:
    return pb_grpc.PeersServiceStub(server.channel(ADMIN, READ))


@pytest.fixture
def gateway(server: RunningServer) -> Stub:
    return pb_grpc.PeersServiceStub(server.channel(READ, USE, subject="gateway"))


def spec(name: str = "PACS", **changes: Any) -> pb.PeerSpec:
    dimse = pb.DimseAddress(ae_title=changes.pop("ae_title", "PACS"), host="pacs.example", port=104)
    values: dict[str, Any] = {"trust_zone": pb.TRUST_ZONE_INSIDE, "dimse": dimse}
    return pb.PeerSpec(name=name, **(values | changes))


async def created(admin: Stub, made: pb.PeerSpec, **credentials: str) -> pb.Peer:
    request = pb.CreatePeerRequest(spec=made, credentials=pb.PeerCredentials(**credentials))
    peer: pb.Peer = (await admin.CreatePeer(request)).peer
    return peer


async def refused(call: Any) -> ServiceCallError:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value


async def test_what_is_registered_is_found_again(admin: Stub) -> None:
    given = spec(
        dimse=pb.DimseAddress(
            ae_title="ARCHIVE",
            host="10.0.0.7",
            port=11112,
            calling_ae_title="HEIMDALLR",
            tls=True,
            transfer_syntax_uids=["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"],
        ),
        dicomweb=pb.DicomWebAddress(url="https://pacs.example:8443/dicom-web/"),
        move_destination=True,
        description="Second floor.\nAsk radiology.",
    )

    made = await created(admin, given)
    by_id = (await admin.GetPeer(pb.GetPeerRequest(peer_id=made.peer_id))).peer
    by_name = (await admin.GetPeer(pb.GetPeerRequest(name="PACS"))).peer

    given.dicomweb.url = "https://pacs.example:8443/dicom-web"
    assert made.spec == given
    assert made == by_id == by_name
    assert not made.has_secret
    assert made.create_time.ToDatetime(UTC) <= datetime.now(UTC)


async def test_a_peer_outside_keeps_the_project_whose_copies_it_gets(admin: Stub) -> None:
    project = "01a1fe91-66c6-71ab-8cc9-5ddfcb0bb29e"
    given = spec(deid_project_id=project)
    given.trust_zone = pb.TRUST_ZONE_OUTSIDE

    made = await created(admin, given)
    given.deid_project_id = ""
    request = pb.UpdatePeerRequest(peer_id=made.peer_id, spec=given)
    changed = (await admin.UpdatePeer(request)).peer

    assert made.spec.deid_project_id == project
    assert changed.spec.deid_project_id == ""


@pytest.mark.parametrize(
    ("zone", "project"),
    [
        (pb.TRUST_ZONE_OUTSIDE, "research"),
        (pb.TRUST_ZONE_INSIDE, "01a1fe91-66c6-71ab-8cc9-5ddfcb0bb29e"),
    ],
)
async def test_a_project_is_of_a_peer_outside_alone(
    admin: Stub, zone: pb.TrustZone.ValueType, project: str
) -> None:
    given = spec(deid_project_id=project)
    given.trust_zone = zone

    error = await refused(admin.CreatePeer(pb.CreatePeerRequest(spec=given)))

    assert error.metadata["field"] == "spec.deid_project_id"


async def test_peers_are_listed_by_name(admin: Stub) -> None:
    for name in ("b", "a", "c"):
        await created(admin, spec(name, ae_title=name))

    listed = await admin.ListPeers(pb.ListPeersRequest())

    assert [peer.spec.name for peer in listed.peers] == ["a", "b", "c"]


async def test_credentials_are_given_to_gateways_alone(
    server: RunningServer, admin: Stub, gateway: Stub
) -> None:
    made = await created(admin, spec(), user_name="us", password=SECRET)

    shown = await admin.GetPeer(pb.GetPeerRequest(name="PACS"))
    listed = await admin.ListPeers(pb.ListPeersRequest())
    error = await refused(admin.ResolvePeer(pb.ResolvePeerRequest(name="PACS")))
    resolved = await gateway.ResolvePeer(pb.ResolvePeerRequest(peer_id=made.peer_id))

    assert made.has_secret
    for message in (made, shown, listed):
        assert SECRET not in str(message)
    assert error.code is grpc.StatusCode.PERMISSION_DENIED
    assert resolved.credentials.password == SECRET
    assert resolved.credentials.user_name == "us"


def test_only_gateways_hold_the_permission_to_see_credentials() -> None:
    holders = {name for name, held in SERVICE_PERMISSIONS.items() if USE in held}

    assert holders == {"gateway"}
    assert not any(USE in held for held in ROLE_PERMISSIONS.values())


async def test_the_database_holds_no_secret(admin: Stub, pool: Pool) -> None:
    certificate, key = certificate_and_key("us")
    credentials = {"user_name": "user-name", "password": SECRET, "bearer_token": "the-token"}

    await created(admin, spec(), **credentials, tls_certificate_pem=certificate, tls_key_pem=key)

    row = await pool.fetchval("SELECT peer::text FROM peers.peer AS peer")
    sealed = await pool.fetchval("SELECT credentials FROM peers.peer")
    for value in (*credentials.values(), key.splitlines()[1], certificate.splitlines()[1]):
        assert value not in row
        assert value.encode() not in sealed


async def test_a_sealed_row_does_not_open_for_another_peer(
    admin: Stub, gateway: Stub, pool: Pool
) -> None:
    await created(admin, spec("a", ae_title="A"), user_name="us", password=SECRET)
    await created(admin, spec("b", ae_title="B"))

    await pool.execute(
        "UPDATE peers.peer SET credentials = (SELECT credentials FROM peers.peer WHERE name = 'a')"
    )
    error = await refused(gateway.ResolvePeer(pb.ResolvePeerRequest(name="b")))

    assert error.reason == "ERROR_REASON_DEPENDENCY_UNAVAILABLE"


async def test_credentials_stay_until_others_are_given(admin: Stub, gateway: Stub) -> None:
    made = await created(admin, spec(), user_name="us", password=SECRET)

    async def password_after(**credentials: Any) -> str:
        request = pb.UpdatePeerRequest(peer_id=made.peer_id, spec=spec("renamed"), **credentials)
        await admin.UpdatePeer(request)
        found = await gateway.ResolvePeer(pb.ResolvePeerRequest(name="renamed"))
        password: str = found.credentials.password
        return password

    assert await password_after() == SECRET
    other = pb.PeerCredentials(user_name="us", password="other")
    assert await password_after(credentials=other) == "other"
    assert await password_after(credentials=pb.PeerCredentials()) == ""
    assert not (await admin.GetPeer(pb.GetPeerRequest(name="renamed"))).peer.has_secret


async def test_names_and_addresses_are_taken_once(admin: Stub) -> None:
    first = await created(admin, spec("a", ae_title="A"))
    await created(admin, spec("b", ae_title="B"))

    same_name = await refused(created(admin, spec("a", ae_title="C")))
    same_address = await refused(created(admin, spec("c", ae_title="A")))
    renamed = await refused(
        admin.UpdatePeer(pb.UpdatePeerRequest(peer_id=first.peer_id, spec=spec("b", ae_title="A")))
    )

    assert {same_name.reason, same_address.reason, renamed.reason} == {"ERROR_REASON_PEER_EXISTS"}
    assert same_name.metadata["field"] == renamed.metadata["field"] == "spec.name"
    assert same_address.metadata["field"] == "spec.dimse"


async def test_what_is_unknown_is_not_found_and_forgotten_twice(admin: Stub) -> None:
    made = await created(admin, spec())
    for _ in range(2):
        await admin.DeletePeer(pb.DeletePeerRequest(peer_id=made.peer_id))

    calls = (
        admin.GetPeer(pb.GetPeerRequest(peer_id=made.peer_id)),
        admin.GetPeer(pb.GetPeerRequest(name="PACS")),
        admin.GetPeer(pb.GetPeerRequest(peer_id="no id")),
        admin.UpdatePeer(pb.UpdatePeerRequest(peer_id=new_id(), spec=spec())),
    )

    assert {(await refused(call)).reason for call in calls} == {"ERROR_REASON_PEER_NOT_FOUND"}


async def test_an_ae_title_tells_a_peer_only_where_one_has_it(admin: Stub, gateway: Stub) -> None:
    one = await created(admin, spec("a", ae_title="ONE"))
    await created(admin, spec("b", ae_title="TWO"))
    two = spec("c", ae_title="TWO")
    two.dimse.port = 105
    await created(admin, two)

    found = await gateway.ResolvePeer(pb.ResolvePeerRequest(ae_title="ONE"))
    error = await refused(gateway.ResolvePeer(pb.ResolvePeerRequest(ae_title="TWO")))

    assert found.peer.peer_id == one.peer_id
    assert error.reason == "ERROR_REASON_PEER_NOT_FOUND"


async def test_the_latest_test_of_each_kind_is_kept(admin: Stub, gateway: Stub) -> None:
    made = await created(admin, spec())
    now = datetime.now(UTC).replace(microsecond=0)

    async def record(kind: str, age_s: int, *, succeeded: bool) -> None:
        test = pb.PeerTest(kind=kind, succeeded=succeeded, text=f"{age_s} s ago", duration_ms=7)
        test.time.FromDatetime(now - timedelta(seconds=age_s))
        request = pb.RecordPeerTestRequest(peer_id=made.peer_id, test=test)
        await gateway.RecordPeerTest(request)

    await record("echo", 10, succeeded=True)
    await record("echo", 20, succeeded=False)
    await record("dicomweb", 5, succeeded=False)
    tests = (await admin.GetPeer(pb.GetPeerRequest(name="PACS"))).peer.tests

    found = [(t.kind, t.succeeded, t.text, t.time.ToDatetime(UTC)) for t in tests]
    assert found == [
        ("dicomweb", False, "5 s ago", now - timedelta(seconds=5)),
        ("echo", True, "10 s ago", now - timedelta(seconds=10)),
    ]


def dimse(**changes: Any) -> pb.PeerSpec:
    made = spec()
    for name, value in changes.items():
        if name == "transfer_syntax_uids":
            made.dimse.transfer_syntax_uids.extend(value)
        else:
            setattr(made.dimse, name, value)
    return made


def web(url: str) -> pb.PeerSpec:
    return spec(dicomweb=pb.DicomWebAddress(url=url))


BROKEN = {
    "name absent": (spec(""), "spec.name"),
    "name long": (spec("x" * 65), "spec.name"),
    "name with NUL": (spec("a\0b"), "spec.name"),
    "name with spaces": (spec(" a"), "spec.name"),
    "zone": (spec(trust_zone=pb.TRUST_ZONE_UNSPECIFIED), "spec.trust_zone"),
    "nothing spoken": (
        pb.PeerSpec(name="a", trust_zone=pb.TRUST_ZONE_INSIDE),
        "spec.dimse",
    ),
    "description": (spec(description="x" * 1001), "spec.description"),
    "AE title absent": (dimse(ae_title=""), "spec.dimse.ae_title"),
    "AE title long": (dimse(ae_title="A" * 17), "spec.dimse.ae_title"),
    "AE title with backslash": (dimse(ae_title="A\\B"), "spec.dimse.ae_title"),
    "AE title with accent": (dimse(ae_title="RÖNTGEN"), "spec.dimse.ae_title"),
    "calling AE title": (dimse(calling_ae_title="\n"), "spec.dimse.calling_ae_title"),
    "port 0": (dimse(port=0), "spec.dimse.port"),
    "port 65536": (dimse(port=65536), "spec.dimse.port"),
    "host absent": (dimse(host=""), "spec.dimse.host"),
    "host with port": (dimse(host="a:104"), "spec.dimse.host"),
    "host with path": (dimse(host="a/b"), "spec.dimse.host"),
    "host as number": (dimse(host="2852039166"), "spec.dimse.host"),
    "host as hexadecimal": (dimse(host="0xA9FEA9FE"), "spec.dimse.host"),
    "metadata address": (dimse(host="169.254.169.254"), "spec.dimse.host"),
    "link-local address": (dimse(host="fe80::1"), "spec.dimse.host"),
    "mapped address": (dimse(host="::ffff:169.254.169.254"), "spec.dimse.host"),
    "unspecified address": (dimse(host="0.0.0.0"), "spec.dimse.host"),  # noqa: S104 -- refused
    "CA": (dimse(tls_ca_pem="no PEM"), "spec.dimse.tls_ca_pem"),
    "syntax": (dimse(transfer_syntax_uids=["1.2.3"]), "spec.dimse.transfer_syntax_uids"),
    "syntax twice": (
        dimse(transfer_syntax_uids=["1.2.840.10008.1.2"] * 2),
        "spec.dimse.transfer_syntax_uids",
    ),
    "other scheme": (web("ftp://a/b"), "spec.dicomweb.url"),
    "file": (web("file:///etc/passwd"), "spec.dicomweb.url"),
    "no host": (web("http:///dicom-web"), "spec.dicomweb.url"),
    "user in URL": (web("http://me:secret@a/b"), "spec.dicomweb.url"),
    "query in URL": (web("http://a/b?c=d"), "spec.dicomweb.url"),
    "space in URL": (web("http://a/ b"), "spec.dicomweb.url"),
    "port in URL": (web("http://a:99999/"), "spec.dicomweb.url"),
    "metadata URL": (web("http://169.254.169.254/latest"), "spec.dicomweb.url"),
    "link-local URL": (web("http://[fe80::1]/"), "spec.dicomweb.url"),
    "number URL": (web("http://2852039166/"), "spec.dicomweb.url"),
}


@pytest.mark.parametrize(("made", "field"), BROKEN.values(), ids=BROKEN.keys())
def test_a_rule_that_is_broken_is_named(made: pb.PeerSpec, field: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_spec(spec_from_proto(made))

    assert caught.value.metadata["field"] == field
    assert caught.value.metadata["rule"]


async def test_a_field_that_is_refused_is_named_to_the_caller(admin: Stub) -> None:
    error = await refused(created(admin, web("http://169.254.169.254/latest")))

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.metadata["field"] == "spec.dicomweb.url"
    assert (await admin.ListPeers(pb.ListPeersRequest())).peers == []


async def test_a_key_without_its_certificate_is_refused_and_never_shown(admin: Stub) -> None:
    certificate, key = certificate_and_key("us")
    other = certificate_and_key("other")[1]

    errors = [
        await refused(created(admin, spec(), tls_key_pem=key)),
        await refused(created(admin, spec(), tls_certificate_pem=certificate, tls_key_pem=other)),
        await refused(created(admin, spec(), tls_certificate_pem=certificate, tls_key_pem="x")),
        await refused(created(admin, spec(), password=SECRET)),
        await refused(created(admin, spec(), bearer_token="a b")),
    ]

    assert [error.metadata["field"].partition(".")[2] for error in errors] == [
        "tls_key_pem",
        "tls_key_pem",
        "tls_key_pem",
        "user_name",
        "bearer_token",
    ]
    assert not any(SECRET in error.text or key in error.text for error in errors)


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "peers.key"

    sealed = Vault.load_or_create(path).seal(b"secret", "owner")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Vault.load_or_create(path).unseal(sealed, "owner") == b"secret"

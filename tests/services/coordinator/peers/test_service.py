"""The registry of peers, called through a real channel with rows in a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from heimdallr.peers.v1 import peers_service_pb2 as pb
from services.runtime.ids import new_id
from services.runtime.permissions import ROLE_PERMISSIONS, SERVICE_PERMISSIONS
from services.runtime.postgres import Pool
from tests.services.coordinator.peers.registry import (
    SECRET,
    USE,
    Stub,
    created,
    refused,
    spec,
)
from tests.support.mesh import RunningServer
from tests.support.peer_certificates import certificate_and_key

pytestmark = pytest.mark.postgres


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

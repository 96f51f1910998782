"""What is refused when a peer is registered."""

from __future__ import annotations

import stat
from pathlib import Path

import grpc
import pytest

from heimdallr.peers.v1 import peers_service_pb2 as pb
from services.coordinator.peers.messages import spec_from_proto
from services.coordinator.peers.rules import check_spec
from services.coordinator.peers.vault import Vault
from services.runtime.errors import InvalidFieldError
from tests.services.coordinator.peers.registry import (
    SECRET,
    Stub,
    created,
    dimse,
    refused,
    spec,
)
from tests.support.peer_certificates import certificate_and_key

pytestmark = pytest.mark.postgres


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

"""Peers as messages of their contract, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from heimdallr.peers.v1 import peers_service_pb2 as pb
from services.coordinator.peers.peer import (
    Credentials,
    DicomWebAddress,
    DimseAddress,
    Peer,
    PeerSpec,
    PeerTest,
    TrustZone,
)
from services.runtime.errors import InvalidFieldError

_ZONES: Final = {
    pb.TRUST_ZONE_INSIDE: TrustZone.INSIDE,
    pb.TRUST_ZONE_OUTSIDE: TrustZone.OUTSIDE,
}
_ZONE_VALUES: Final = {zone: value for value, zone in _ZONES.items()}
_LAST_SECOND: Final = 253_402_300_799


def spec_from_proto(message: pb.PeerSpec) -> PeerSpec:
    """Return what is to be registered.

    Raises:
        InvalidFieldError: The trust zone is unspecified or unknown.
    """
    zone = _ZONES.get(message.trust_zone)
    if zone is None:
        raise InvalidFieldError("spec.trust_zone", "inside or outside")
    return PeerSpec(
        name=message.name,
        trust_zone=zone,
        dimse=_dimse_from_proto(message.dimse) if message.HasField("dimse") else None,
        dicomweb=_web_from_proto(message.dicomweb) if message.HasField("dicomweb") else None,
        move_destination=message.move_destination,
        description=message.description,
        deid_project_id=message.deid_project_id,
    )


def spec_to_proto(spec: PeerSpec) -> pb.PeerSpec:
    """Return what is registered as a message."""
    message = pb.PeerSpec(
        name=spec.name,
        trust_zone=_ZONE_VALUES[spec.trust_zone],
        move_destination=spec.move_destination,
        description=spec.description,
        deid_project_id=spec.deid_project_id,
    )
    if spec.dimse is not None:
        message.dimse.CopyFrom(_dimse_to_proto(spec.dimse))
    if spec.dicomweb is not None:
        web = pb.DicomWebAddress(url=spec.dicomweb.url, tls_ca_pem=spec.dicomweb.tls_ca_pem)
        message.dicomweb.CopyFrom(web)
    return message


def credentials_from_proto(message: pb.PeerCredentials) -> Credentials:
    """Return what we are to show a peer."""
    return Credentials(
        user_name=message.user_name,
        password=message.password,
        bearer_token=message.bearer_token,
        tls_certificate_pem=message.tls_certificate_pem,
        tls_key_pem=message.tls_key_pem,
    )


def credentials_to_proto(credentials: Credentials) -> pb.PeerCredentials:
    """Return what we show a peer as a message, for gateways alone."""
    return pb.PeerCredentials(
        user_name=credentials.user_name,
        password=credentials.password,
        bearer_token=credentials.bearer_token,
        tls_certificate_pem=credentials.tls_certificate_pem,
        tls_key_pem=credentials.tls_key_pem,
    )


def peer_to_proto(peer: Peer) -> pb.Peer:
    """Return a peer as a message."""
    message = pb.Peer(
        peer_id=peer.peer_id,
        spec=spec_to_proto(peer.spec),
        has_secret=peer.has_secret,
        has_certificate=peer.has_certificate,
        tests=map(test_to_proto, peer.tests),
    )
    message.create_time.FromDatetime(peer.create_time)
    message.update_time.FromDatetime(peer.update_time)
    return message


def test_to_proto(test: PeerTest) -> pb.PeerTest:
    """Return the outcome of a test as a message."""
    message = pb.PeerTest(
        kind=test.kind, succeeded=test.succeeded, text=test.text, duration_ms=test.duration_ms
    )
    message.time.FromDatetime(test.time)
    return message


def test_from_proto(message: pb.PeerTest) -> PeerTest:
    """Return the outcome of a test.

    Raises:
        InvalidFieldError: Its time is none.
    """
    if not 0 < message.time.seconds <= _LAST_SECOND:
        raise InvalidFieldError("test.time", "after 1970")
    time = datetime.fromtimestamp(message.time.seconds, UTC)
    time = time.replace(microsecond=max(0, min(message.time.nanos // 1000, 999_999)))
    return PeerTest(message.kind, message.succeeded, time, message.text, message.duration_ms)


def _dimse_from_proto(message: pb.DimseAddress) -> DimseAddress:
    return DimseAddress(
        ae_title=message.ae_title,
        host=message.host,
        port=message.port,
        calling_ae_title=message.calling_ae_title,
        tls=message.tls,
        tls_ca_pem=message.tls_ca_pem,
        transfer_syntax_uids=tuple(message.transfer_syntax_uids),
    )


def _dimse_to_proto(address: DimseAddress) -> pb.DimseAddress:
    return pb.DimseAddress(
        ae_title=address.ae_title,
        host=address.host,
        port=address.port,
        calling_ae_title=address.calling_ae_title,
        tls=address.tls,
        tls_ca_pem=address.tls_ca_pem,
        transfer_syntax_uids=address.transfer_syntax_uids,
    )


def _web_from_proto(message: pb.DicomWebAddress) -> DicomWebAddress:
    return DicomWebAddress(url=message.url.rstrip("/"), tls_ca_pem=message.tls_ca_pem)

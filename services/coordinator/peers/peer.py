"""A peer: a system that images are exchanged with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TrustZone(StrEnum):
    """Whether identified data may go to a peer."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class DimseAddress:
    """Where a peer speaks DIMSE.

    Attributes:
        ae_title: Its AE title.
        host: Host name or address.
        port: TCP port.
        calling_ae_title: What we call ourselves towards it; "" for the gateway's own.
        tls: Whether TLS is spoken (PS3.15 B.12).
        tls_ca_pem: Certificates that its own must descend from; "" for those of the system.
        transfer_syntax_uids: What it takes, best first; empty for any.
    """

    ae_title: str
    host: str
    port: int
    calling_ae_title: str = ""
    tls: bool = False
    tls_ca_pem: str = ""
    transfer_syntax_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DicomWebAddress:
    """Where a peer speaks DICOMweb.

    Attributes:
        url: Base URL, http or https, without a slash at the end.
        tls_ca_pem: Certificates that its own must descend from; "" for those of the system.
    """

    url: str
    tls_ca_pem: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What we show a peer. Its text never shows a secret."""

    user_name: str = ""
    password: str = ""
    bearer_token: str = ""
    tls_certificate_pem: str = ""
    tls_key_pem: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"

    @property
    def has_secret(self) -> bool:
        """Whether there is a password or a bearer token."""
        return bool(self.password or self.bearer_token)

    @property
    def has_certificate(self) -> bool:
        """Whether there is a certificate of ours."""
        return bool(self.tls_certificate_pem)


@dataclass(frozen=True, slots=True)
class PeerSpec:
    """What is registered of a peer.

    Attributes:
        name: Name that people use, unique.
        trust_zone: Whether identified data may go there.
        dimse: Where it speaks DIMSE, if it does.
        dicomweb: Where it speaks DICOMweb, if it does.
        move_destination: Whether C-MOVE of others may send to it.
        description: Notes for people.
        deid_project_id: Project whose released copies go to a peer outside; "" for nothing.
    """

    name: str
    trust_zone: TrustZone
    dimse: DimseAddress | None = None
    dicomweb: DicomWebAddress | None = None
    move_destination: bool = False
    description: str = ""
    deid_project_id: str = ""


@dataclass(frozen=True, slots=True)
class PeerTest:
    """The outcome of a test of one kind.

    Attributes:
        kind: "echo" or "dicomweb".
        succeeded: Whether it did.
        time: When, UTC.
        text: One sentence that says what happened.
        duration_ms: How long it took, in milliseconds.
    """

    kind: str
    succeeded: bool
    time: datetime
    text: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A registered peer.

    Attributes:
        peer_id: Our id, UUIDv7.
        spec: What is registered.
        has_secret: Whether a password or bearer token is kept.
        has_certificate: Whether a certificate of ours is kept for it.
        create_time: When it was registered, UTC.
        update_time: When it was last changed, UTC.
        tests: Outcome of the last test of each kind.
    """

    peer_id: str
    spec: PeerSpec
    has_secret: bool
    has_certificate: bool
    create_time: datetime
    update_time: datetime
    tests: tuple[PeerTest, ...] = ()

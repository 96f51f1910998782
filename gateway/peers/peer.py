"""A registered peer with all that is needed to call it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.peers.errors import PeerOutsideError
from services.runtime.errors import InvalidFieldError


@dataclass(frozen=True, slots=True)
class DimseAddress:
    """Where a peer speaks DIMSE; see ``heimdallr.peers.v1.DimseAddress``."""

    ae_title: str
    host: str
    port: int
    calling_ae_title: str = ""
    tls: bool = False
    tls_ca_pem: str = field(default="", repr=False)
    transfer_syntax_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a peer speaks DICOMweb: base URL without a slash at its end."""

    url: str
    tls_ca_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What we show a peer; "" for what it does not want."""

    user_name: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    tls_certificate_pem: str = field(default="", repr=False)
    tls_key_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Peer:
    """A registered peer.

    Attributes:
        peer_id: Our id of it.
        name: Name that people use.
        inside: Whether identified data may go there.
        dimse: Where it speaks DIMSE, if it does.
        web: Where it speaks DICOMweb, if it does.
        credentials: What we show it.
        move_destination: Whether C-MOVE of others may send to it.
        deid_project_id: Project whose released copies go to a peer outside; "" for nothing.
    """

    peer_id: str
    name: str
    inside: bool
    dimse: DimseAddress | None = None
    web: WebAddress | None = None
    credentials: Credentials = field(default_factory=Credentials, repr=False)
    move_destination: bool = False
    deid_project_id: str = ""

    def require_dimse(self) -> DimseAddress:
        """Return where it speaks DIMSE.

        Raises:
            InvalidFieldError: It does not.
        """
        if self.dimse is None:
            raise InvalidFieldError("peer", "one that speaks DIMSE")
        return self.dimse

    def require_web(self) -> WebAddress:
        """Return where it speaks DICOMweb.

        Raises:
            InvalidFieldError: It does not.
        """
        if self.web is None:
            raise InvalidFieldError("peer", "one that speaks DICOMweb")
        return self.web


@dataclass(frozen=True, slots=True)
class ReleasedCopies:
    """What de-identification released for a project; made by ``gateway.peers.release`` alone.

    Attributes:
        project_id: The project.
        sha256s: Hashes of the files.
    """

    project_id: str
    sha256s: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A peer that something may be sent to: one inside, or one outside with what it may get.

    Whatever sends takes this and no `Peer`, and has each instance pass `require`, so that the
    check cannot be forgotten.

    Attributes:
        peer: The peer.
        released: What may go to it when it is outside.

    Raises:
        PeerOutsideError: The peer is not inside, and nothing was released for its project.
    """

    peer: Peer
    released: ReleasedCopies | None = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Check it again, however it was made.

        Raises:
            PeerOutsideError: As for the class.
        """
        project = self.released.project_id if self.released is not None else ""
        if not self.peer.inside and (not project or project != self.peer.deid_project_id):
            raise PeerOutsideError(self.peer.name)

    def require(self, sha256: str) -> None:
        """Check that a file may go to it: the gate that everything passes that is sent.

        Args:
            sha256: Of the file.

        Raises:
            PeerOutsideError: It is identified, and the peer is not inside.
        """
        self.check()
        released = self.released.sha256s if self.released is not None else frozenset()
        if not self.peer.inside and sha256 not in released:
            raise PeerOutsideError(self.peer.name)

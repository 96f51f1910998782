"""Associations that we ask for (PS3.8 section 7.1), by pynetdicom, in the calling thread."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from pynetdicom import AE, _config, build_context, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from gateway.peers.errors import PeerRefusedError, PeerUnreachableError
from gateway.peers.peer import Credentials, Peer
from gateway.peers.settings import ExchangeSettings
from gateway.peers.tls import client_context
from gateway.scu.guard import Guard
from gateway.scu.worker import Outlet
from services.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MAX_CONTEXTS: Final = 128
_NO_CONTEXT: Final = "0122"
_PERMANENT: Final = 1
_REASONS: Final = {
    (1, 2): "the application context is not supported",
    (1, 3): "our AE title is not known there",
    (1, 7): "its AE title is another",
    (3, 1): "it takes no more associations now",
    (3, 2): "its limit of associations is reached",
}
"""By source and reason of A-ASSOCIATE-RJ, PS3.8 Table 9-21."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A presentation context that we propose.

    Attributes:
        abstract_syntax: SOP class.
        transfer_syntaxes: In which forms, best first.
        as_provider: Whether the peer is to be the user, as in C-GET.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    as_provider: bool = False


@dataclass(frozen=True, slots=True)
class Called:
    """A peer and the addresses that its name leads to."""

    peer: Peer
    addresses: Sequence[str]


@dataclass(frozen=True, slots=True)
class Line:
    """An association that stands.

    Attributes:
        association: pynetdicom's.
        guard: Watches its connection.
        peer: Who is at the other end.
    """

    association: Any
    guard: Guard
    peer: Peer

    def lost(self) -> PeerUnreachableError | PeerRefusedError:
        """Return the error for an answer that did not come."""
        if self.guard.overrun:
            return PeerRefusedError(self.peer.name, "0110", "its answer is longer than is taken")
        return PeerUnreachableError(self.peer.name, "message", "it broke off or was silent")


class Caller:
    """Opens associations.

    Args:
        settings: Bounds and times.
        ae_title: What we call ourselves unless a peer's registration says otherwise.
    """

    def __init__(self, settings: ExchangeSettings, ae_title: str) -> None:
        self._settings = settings
        self.ae_title = ae_title
        self.dimse_timeout_s = settings.message_timeout_s
        _quiet()

    @contextmanager
    def line(
        self,
        called: Called,
        offers: Sequence[Offer],
        outlet: Outlet[Any],
        *,
        max_message_bytes: int | None = None,
        handlers: Sequence[Any] = (),
    ) -> Iterator[Line]:
        """Keep an association while the block runs; an error in the block aborts it.

        Args:
            called: The peer.
            offers: At most 128 presentation contexts.
            outlet: Ends the association when nobody waits any more.
            max_message_bytes: Longest message that the peer may send.
            handlers: Further ones of pynetdicom's events.

        Raises:
            PeerUnreachableError: No association, because of the network, TLS or silence.
            PeerRefusedError: The peer rejects it or takes nothing that was offered.
        """
        most = max_message_bytes or self._settings.max_message_bytes
        line = self._first(called, offers, outlet, most, handlers)
        try:
            yield line
        except BaseException:
            line.guard.cut()
            _abort(line.association)
            raise
        else:
            if line.association.is_established:
                line.association.release()
        finally:
            line.association.join(self._settings.message_timeout_s)
            line.guard.close()

    def _first(
        self,
        called: Called,
        offers: Sequence[Offer],
        outlet: Outlet[Any],
        most: int,
        handlers: Sequence[Any],
    ) -> Line:
        error: PeerUnreachableError | None = None
        for address in called.addresses:
            settings = self._settings
            tls = _tls(called.peer)
            guard = Guard(settings.max_pdu_length, most, settings.message_timeout_s, tls)
            outlet.when_abandoned(guard.cut)
            outlet.check()
            try:
                association = self._associate(called.peer, address, offers, guard, handlers)
            except (PeerUnreachableError, PeerRefusedError) as failure:
                guard.close()
                if isinstance(failure, PeerRefusedError):
                    raise
                error = failure
            else:
                return Line(association, guard, called.peer)
        raise error or PeerUnreachableError(called.peer.name, "connect", "no address")

    def _associate(
        self,
        peer: Peer,
        address: str,
        offers: Sequence[Offer],
        guard: Guard,
        handlers: Sequence[Any],
    ) -> Any:
        there = peer.require_dimse()
        ae = self._entity(there.calling_ae_title or self.ae_title)
        try:
            association = ae.associate(
                address,
                there.port,
                contexts=[
                    build_context(offer.abstract_syntax, list(offer.transfer_syntaxes))
                    for offer in offers
                ],
                ae_title=there.ae_title,
                max_pdu=self._settings.max_pdu_length,
                ext_neg=[*_roles(offers), *_identity(peer.credentials)],
                tls_args=(guard, there.host),  # type: ignore[arg-type]
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, guard.opened),
                    *handlers,
                    (evt.EVT_DIMSE_RECV, guard.next_message),
                ],
            )
        except (OSError, RuntimeError):
            raise PeerUnreachableError(peer.name, "connect", "no connection") from None
        if association.is_established:
            return association
        raise _failure(peer, association, guard)

    def _entity(self, ae_title: str) -> AE:
        settings = self._settings
        ae = AE(ae_title=ae_title)
        ae.connection_timeout = settings.connect_timeout_s
        ae.acse_timeout = settings.associate_timeout_s
        ae.dimse_timeout = ae.network_timeout = settings.message_timeout_s
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        return ae


def _failure(peer: Peer, association: Any, guard: Guard) -> PeerUnreachableError | PeerRefusedError:
    if association.is_rejected:
        return _rejection(peer, association.acceptor.primitive)
    if not guard.connected:
        if guard.tls_failed:
            return PeerUnreachableError(peer.name, "tls", "TLS is not agreed on")
        return PeerUnreachableError(peer.name, "connect", "no connection")
    if association.rejected_contexts:
        return PeerRefusedError(peer.name, _NO_CONTEXT, "it offers none of what is asked for")
    return PeerUnreachableError(peer.name, "associate", "no answer to the association request")


def _rejection(peer: Peer, primitive: Any) -> PeerUnreachableError | PeerRefusedError:
    numbers = primitive.result, primitive.result_source, primitive.diagnostic
    why = _REASONS.get((numbers[1], numbers[2]), "the association")
    if numbers[0] != _PERMANENT:
        return PeerUnreachableError(peer.name, "associate", why)
    return PeerRefusedError(peer.name, "A-ASSOCIATE-RJ {}/{}/{}".format(*numbers), why)


def _tls(peer: Peer) -> ssl.SSLContext | None:
    there = peer.require_dimse()
    if not there.tls:
        return None
    # Certificates of modalities seldom name hosts: where one authority is pinned, it counts.
    names_are_checked = not there.tls_ca_pem
    return client_context(there.tls_ca_pem, peer.credentials, names_are_checked=names_are_checked)


def _roles(offers: Sequence[Offer]) -> list[Any]:
    provided = {offer.abstract_syntax for offer in offers if offer.as_provider}
    return [build_role(uid, scp_role=True) for uid in sorted(provided)]


def _identity(credentials: Credentials) -> list[Any]:
    if not credentials.user_name:
        return []
    item = UserIdentityNegotiation()
    item.user_identity_type = 2 if credentials.password else 1
    item.primary_field = credentials.user_name.encode()
    if credentials.password:
        item.secondary_field = credentials.password.encode()
    return [item]


def _abort(association: Any) -> None:
    with suppress(RuntimeError):
        if association.is_alive():
            association.abort()


def _quiet() -> None:
    """Keep pynetdicom from reading and telling what peers send."""
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = _config.STORE_RECV_CHUNKED_DATASET = True
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)

"""Associations with registered peers, for what goes out on behalf of one that asked."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.dimse.errors import PeerGoneError, PeerSilentError, ProtocolError
from gateway.dimse.inbox import InboxLimits
from gateway.dimse.link import Link
from gateway.dimse.requestor import Proposal, RefusedByPeerError, Target, associate
from gateway.peers.peer import Credentials
from gateway.peers.resolving import addresses
from gateway.peers.tls import client_context
from gateway.registry import DimsePeer
from services.runtime.errors import ServiceError

_FAILURES: Final = (
    OSError,
    TimeoutError,
    ValueError,
    ServiceError,
    RefusedByPeerError,
    PeerGoneError,
    PeerSilentError,
    ProtocolError,
)


class OutsideError(Exception):
    """The peer is not of trust zone inside: nothing goes there."""


class NotReachedError(Exception):
    """The peer cannot be reached, or refuses the association."""


@dataclass(frozen=True, slots=True)
class OutgoingSettings:
    """How peers are called.

    Attributes:
        ae_title: Our AE title, where the registry names no other.
        limits: What a peer may send us.
        timeout_s: Longest time to resolve its name, to connect, and to be answered.
    """

    ae_title: str
    limits: InboxLimits
    timeout_s: float = 15.0


@asynccontextmanager
async def associated(
    peer: DimsePeer, proposals: Sequence[Proposal], settings: OutgoingSettings
) -> AsyncIterator[Link]:
    """Associate with a peer for the length of the block.

    Raises:
        OutsideError: It is not inside.
        NotReachedError: It cannot be reached, or refuses.
    """
    if not peer.inside:
        raise OutsideError
    async with AsyncExitStack() as stack:
        try:
            target = await _target(peer, settings)
            line = associate(target, proposals, settings.limits, settings.timeout_s)
            link = await stack.enter_async_context(line)
        except _FAILURES as error:
            raise NotReachedError from error
        yield link


async def _target(peer: DimsePeer, settings: OutgoingSettings) -> Target:
    shown = peer.credentials
    return Target(
        addresses=await addresses(peer.ae_title, peer.host, peer.port, settings.timeout_s),
        port=peer.port,
        called_ae_title=peer.ae_title,
        calling_ae_title=peer.calling_ae_title or settings.ae_title,
        host=peer.host,
        tls=_tls(peer) if peer.tls else None,
        user_name=shown.user_name,
        password=shown.password,
    )


def _tls(peer: DimsePeer) -> ssl.SSLContext:
    shown = peer.credentials
    credentials = Credentials(
        tls_certificate_pem=shown.tls_certificate_pem, tls_key_pem=shown.tls_key_pem
    )
    # A certificate of an authority that was given for this peer alone need not name an address.
    names = not (peer.tls_ca_pem and _is_address(peer.host))
    return client_context(peer.tls_ca_pem, credentials, names_are_checked=names)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

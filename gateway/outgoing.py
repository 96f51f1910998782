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
from gateway.peers.peer import DimseAddress, Peer, Recipient
from gateway.peers.resolving import addresses
from gateway.peers.tls import client_context
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
    recipient: Recipient, proposals: Sequence[Proposal], settings: OutgoingSettings
) -> AsyncIterator[Link]:
    """Associate with a peer for the length of the block.

    Raises:
        PeerOutsideError: Nothing may go there, whatever it was made from.
        NotReachedError: It cannot be reached, or refuses.
    """
    recipient.check()
    peer = recipient.peer
    async with AsyncExitStack() as stack:
        try:
            target = await _target(peer, settings)
            line = associate(target, proposals, settings.limits, settings.timeout_s)
            link = await stack.enter_async_context(line)
        except _FAILURES as error:
            raise NotReachedError from error
        yield link


async def _target(peer: Peer, settings: OutgoingSettings) -> Target:
    there, shown = peer.require_dimse(), peer.credentials
    return Target(
        addresses=await addresses(peer.name, there.host, there.port, settings.timeout_s),
        port=there.port,
        called_ae_title=there.ae_title,
        calling_ae_title=there.calling_ae_title or settings.ae_title,
        host=there.host,
        tls=_tls(there, peer) if there.tls else None,
        user_name=shown.user_name,
        password=shown.password,
    )


def _tls(there: DimseAddress, peer: Peer) -> ssl.SSLContext:
    # A certificate of an authority that was given for this peer alone need not name an address.
    names = not (there.tls_ca_pem and _is_address(there.host))
    return client_context(there.tls_ca_pem, peer.credentials, names_are_checked=names)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

"""Registered peers as the gateway's DICOM services know them: where they are and what they may."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.peers.v1 import peers_service_pb2 as pb
from heimdallr.peers.v1 import peers_service_pb2_grpc as pb_grpc
from services.runtime.client import ServiceCallError, typed_errors

_KEPT_S: Final = 10.0
_MOST_KEPT: Final = 256
_NOT_FOUND: Final = ErrorReason.Name(ErrorReason.ERROR_REASON_PEER_NOT_FOUND)


@dataclass(frozen=True, slots=True)
class DimsePeer:
    """A registered peer that speaks DIMSE.

    Attributes:
        peer_id: Our id of it.
        inside: Whether identified data may go there.
        move_destination: Whether C-MOVE of others may send to it.
        ae_title: Its AE title.
        host: Host name or address.
        port: TCP port.
        calling_ae_title: What we call ourselves towards it; "" for our own AE title.
        transfer_syntax_uids: What it takes, best first; empty for any.
        tls: Whether TLS is spoken.
        tls_ca_pem: Certificates that its own must descend from; "" for those of the system.
        credentials: What we show it.
    """

    peer_id: str
    inside: bool
    move_destination: bool
    ae_title: str
    host: str
    port: int
    calling_ae_title: str = ""
    transfer_syntax_uids: tuple[str, ...] = ()
    tls: bool = False
    tls_ca_pem: str = field(default="", repr=False)
    credentials: pb.PeerCredentials = field(default_factory=pb.PeerCredentials, repr=False)


class PeerRegistry:
    """Looks peers up by AE title; what was found is believed for a few seconds.

    Args:
        stub: The registry's service.
    """

    def __init__(self, stub: pb_grpc.PeersServiceAsyncStub) -> None:
        self._stub = stub
        self._kept: OrderedDict[str, tuple[float, DimsePeer]] = OrderedDict()

    async def find(self, ae_title: str) -> DimsePeer | None:
        """Return the peer of an AE title; None unless exactly one is registered.

        Raises:
            ServiceCallError: The registry cannot be asked.
        """
        now = time.monotonic()
        kept = self._kept.get(ae_title)
        if kept is not None and now - kept[0] < _KEPT_S:
            return kept[1]
        peer = await self._resolve(ae_title)
        # One that is unknown is asked for again: it may be registered the next moment.
        self._kept.pop(ae_title, None)
        if peer is not None:
            self._kept[ae_title] = (now, peer)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return peer

    async def is_inside(self, ae_title: str, address: str) -> bool:
        """Tell whether a caller is a registered peer of trust zone inside, at its own address.

        Args:
            ae_title: What it calls itself.
            address: Where it calls from.

        Raises:
            ServiceCallError: The registry cannot be asked.
        """
        peer = await self.find(ae_title) if ae_title else None
        return peer is not None and peer.inside and await _lives_at(peer.host, address)

    async def _resolve(self, ae_title: str) -> DimsePeer | None:
        try:
            with typed_errors():
                found = await self._stub.ResolvePeer(pb.ResolvePeerRequest(ae_title=ae_title))
        except ServiceCallError as error:
            if error.reason == _NOT_FOUND:
                return None
            raise
        return _peer(found)


def _peer(found: pb.ResolvePeerResponse) -> DimsePeer | None:
    spec = found.peer.spec
    if not spec.HasField("dimse"):
        return None
    return DimsePeer(
        peer_id=found.peer.peer_id,
        inside=spec.trust_zone == pb.TRUST_ZONE_INSIDE,
        move_destination=spec.move_destination,
        ae_title=spec.dimse.ae_title,
        host=spec.dimse.host,
        port=spec.dimse.port,
        calling_ae_title=spec.dimse.calling_ae_title,
        transfer_syntax_uids=tuple(spec.dimse.transfer_syntax_uids),
        tls=spec.dimse.tls,
        tls_ca_pem=spec.dimse.tls_ca_pem,
        credentials=found.credentials,
    )


async def _lives_at(host: str, address: str) -> bool:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return _plain(address) in {_plain(str(entry[4][0])) for entry in found}
    except (OSError, ValueError):
        return False


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found

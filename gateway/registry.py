"""Who a caller is: registered peers by AE title, and whether they call from their own address."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections import OrderedDict
from typing import Final

from gateway.peers.directory import PeerDirectory
from gateway.peers.peer import Peer
from heimdallr.peers.v1.peers_service_pb2 import ResolvePeerRequest
from services.runtime.errors import PeerNotFoundError

_KEPT_S: Final = 10.0
_MOST_KEPT: Final = 256


class PeerRegistry:
    """Looks peers up by AE title; what was found is believed for a few seconds.

    Args:
        directory: Finds registered peers.
    """

    def __init__(self, directory: PeerDirectory) -> None:
        self._directory = directory
        self._kept: OrderedDict[str, tuple[float, Peer]] = OrderedDict()

    async def find(self, ae_title: str) -> Peer | None:
        """Return the peer of an AE title; None unless exactly one is registered.

        Raises:
            DependencyUnavailableError: The registry cannot be asked.
        """
        now = time.monotonic()
        kept = self._kept.get(ae_title)
        if kept is not None and now - kept[0] < _KEPT_S:
            return kept[1]
        # One that is unknown is asked for again: it may be registered the next moment.
        self._kept.pop(ae_title, None)
        try:
            peer = await self._directory.find(ResolvePeerRequest(ae_title=ae_title))
        except PeerNotFoundError:
            return None
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
            DependencyUnavailableError: The registry cannot be asked.
        """
        peer = await self.find(ae_title) if ae_title else None
        if peer is None or not peer.inside or peer.dimse is None:
            return False
        return await _lives_at(peer.dimse.host, address)


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

"""From a peer's host name to addresses that we may connect to."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from gateway.peers.errors import PeerUnreachableError
from services.runtime.forbidden_addresses import is_forbidden

_MOST: Final = 4


async def addresses(peer_name: str, host: str, port: int, timeout_s: float) -> list[str]:
    """Return numeric addresses of a host, IPv4 and IPv6, at most four.

    Looked at again on each exchange: a name server may say another thing than when the peer was
    registered.

    Raises:
        PeerUnreachableError: The name is unknown, or leads where no peer can be.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        raise PeerUnreachableError(peer_name, "connect", "its name is unknown") from None
    numeric = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not numeric or any(map(is_forbidden, numeric)):
        raise PeerUnreachableError(peer_name, "connect", "its name leads where no peer can be")
    return numeric[:_MOST]

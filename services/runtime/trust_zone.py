"""Which addresses lie inside: those that an operator declared, and no other.

Whoever is about to call a model or another address that no registry of ours knows asks here. What
lies outside gets nothing but what the outbound service released (``heimdallr.deid.v1``).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_UNIX: Final = "unix:"


class Zone(StrEnum):
    """Whether identified data may go to an address."""

    INSIDE = "inside"
    OUTSIDE = "outside"


class TrustZones:
    """Tells the zone of hosts.

    Args:
        inside: Host names, addresses and networks (CIDR) that lie inside.

    Raises:
        ValueError: One is a network that is none.
    """

    def __init__(self, inside: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[_Network] = []
        for entry in inside:
            try:
                self._networks.append(ipaddress.ip_network(entry.strip("[] "), strict=False))
            except ValueError:
                if "/" in entry:
                    raise
                self._names.add(_plain(entry))

    def of_host(self, host: str) -> Zone:
        """Return the zone of a host name or address as it is called; names are not resolved."""
        name = _plain(host)
        try:
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return Zone.INSIDE if name and name in self._names else Zone.OUTSIDE
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        known = any((mapped or address) in network for network in self._networks)
        return Zone.INSIDE if known else Zone.OUTSIDE

    def of_url(self, url: str) -> Zone:
        """Return the zone of a URL; a socket of this machine lies inside, what is none outside."""
        if url.startswith(_UNIX):
            return Zone.INSIDE
        try:
            return self.of_host(urlsplit(url).hostname or "")
        except ValueError:
            return Zone.OUTSIDE


def _plain(host: str) -> str:
    return host.strip("[] ").rstrip(".").casefold()

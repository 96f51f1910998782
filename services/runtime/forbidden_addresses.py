"""Addresses at which no peer of ours can be, though a person or a name server says so.

A cloud machine's credentials are handed out at link-local addresses: a program that connects
wherever it is told must not be told to fetch them.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200"))
)
_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_BROADCAST: Final = ipaddress.ip_address("255.255.255.255")
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")


def is_forbidden(address: str) -> bool:
    """Return whether a numeric address is link-local, of a metadata service, or nobody's.

    IPv4 addresses inside IPv6 ones (RFC 4291 section 2.5.5, RFC 6052) are looked at as IPv4.

    Args:
        address: IPv4 or IPv6 address; a zone after '%' is ignored.

    Raises:
        ValueError: Not a numeric address.
    """
    found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    return (
        found.is_link_local
        or found.is_multicast
        or found.is_unspecified
        or found in _METADATA
        or found == _BROADCAST
        or found in _THIS_NETWORK
    )


def _unwrapped(
    found: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if found.ipv4_mapped is not None:
        return found.ipv4_mapped
    if found.sixtofour is not None:
        return found.sixtofour
    inner = int(found) & 0xFFFFFFFF
    # The deprecated IPv4-compatible form; ::1 and :: are no such thing.
    compatible = int(found) == inner and inner > 1
    return ipaddress.IPv4Address(inner) if compatible or found in _TRANSLATED else found

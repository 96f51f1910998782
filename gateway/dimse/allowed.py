"""Who may associate at all: AE titles at addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_AE_TITLE: Final = re.compile(r"[ -\[\]-~]{1,16}", re.ASCII)
ANY: Final = "*"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class AllowedPeer:
    """An AE title at an address.

    Attributes:
        ae_title: The calling AE title; ``*`` is any.
        network: Where it calls from.
    """

    ae_title: str
    network: Network


def parse_allowed(text: str) -> AllowedPeer:
    """Return an entry such as ``CT1@10.1.2.0/24``, ``CT1@10.1.2.3`` or ``*@10.0.0.0/8``.

    Raises:
        ValueError: It is none.
    """
    ae_title, at, address = text.strip().rpartition("@")
    if not at or _AE_TITLE.fullmatch(ae_title) is None or ae_title != ae_title.strip():
        raise ValueError("an entry is AE@address or AE@network/bits")
    return AllowedPeer(ae_title, ipaddress.ip_network(address))


class AllowList:
    """Tells who may associate; an empty list lets everybody.

    Args:
        entries: Who may.
    """

    def __init__(self, entries: Sequence[AllowedPeer] = ()) -> None:
        self._entries = tuple(entries)

    def allows(self, ae_title: str, address: str) -> bool:
        """Tell whether a peer may associate.

        Args:
            ae_title: What it calls itself.
            address: Where it calls from.
        """
        if not self._entries:
            return True
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return any(
            entry.ae_title in (ANY, ae_title) and (mapped or found) in entry.network
            for entry in self._entries
        )

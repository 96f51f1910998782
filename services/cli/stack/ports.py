"""Ports on loopback: free ones to use, and taken ones to refuse."""

from __future__ import annotations

import random
import socket
from typing import Final

from services.cli.stack.errors import PortTakenError

# Below Linux' ephemeral range: no outgoing connection takes one between choice and use.
_RANGE: Final = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return different free ports of 127.0.0.1, chosen at random.

    Raises:
        PortTakenError: If there are not enough.
    """
    candidates = random.sample(_RANGE, k=1000)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        if is_free("127.0.0.1", port):
            found.append(port)
    if len(found) < count:
        raise PortTakenError("no free ports between 20000 and 32000")
    return found


def is_free(address: str, port: int) -> bool:
    """Say whether a server could listen on ``port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def require_free(address: str, port: int, option: str) -> None:
    """Check that a port can be listened on.

    Raises:
        PortTakenError: If not; names the option that chooses another one.
    """
    if not is_free(address, port):
        raise PortTakenError(f"{address}:{port} cannot be used: choose another with {option}")

"""Ports on loopback: free ones to use, and taken ones to refuse."""

from __future__ import annotations

import errno
import random
import socket
from typing import Final

from services.cli.stack.errors import PortTakenError

# Below Linux' ephemeral range: no outgoing connection takes one between choice and use.
_RANGE: Final = range(20_000, 32_000)


_WHY: Final = {
    errno.EADDRINUSE: "is taken by another program",
    errno.EACCES: "is not permitted for this user",
}


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
    try:
        _bind(address, port)
    except OSError:
        return False
    return True


def _bind(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))


def require_free(address: str, port: int, option: str) -> None:
    """Check that a port can be listened on.

    Args:
        address: IPv4 address, or a name of one.
        port: The port.
        option: Option that chooses the port, such as "--http-port".

    Raises:
        PortTakenError: If not; says why and names the option that chooses another one.
    """
    try:
        _bind(address, port)
    except socket.gaierror:
        raise _no_address(address, option, "is not an IPv4 address") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise _no_address(address, option, "is no address of this machine") from None
        why = _WHY.get(error.errno or 0, "cannot be used")
        raise PortTakenError(
            f"port {port} of {address} {why}: choose another with {option}"
        ) from None


def _no_address(address: str, option: str, why: str) -> PortTakenError:
    return PortTakenError(f"{address} {why}: choose another with {option[:-5]}-address")

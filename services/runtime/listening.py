"""Where a server listens."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import grpc

from services.runtime.mesh_address import MtlsAddress, mtls_address, server_credentials

_UNIX = "unix:"


class AddressInUseError(Exception):
    """Something else listens there, or a file that is no socket lies there."""


def listen(server: grpc.aio.Server, address: str) -> str:
    """Listen on "unix:/path" (mode 0600, a dead socket removed first), a port, or one with mTLS.

    Returns:
        The address to connect to, with the real port where port 0 was asked for.

    Raises:
        AddressInUseError: The address is taken.
    """
    if address.startswith(_UNIX):
        _listen_unix(server, Path(address.removeprefix(_UNIX)))
        return address
    mutual = mtls_address(address)
    if mutual is not None:
        return _listen_mutual(server, mutual)
    host = address.rpartition(":")[0]
    try:
        return f"{host}:{server.add_insecure_port(address)}"
    except RuntimeError:
        raise AddressInUseError(address) from None


def listening_socket(address: str) -> tuple[socket.socket, str]:
    """Return a bound socket for a server that is not gRPC's, and the address to connect to.

    Raises:
        AddressInUseError: The address is taken.
    """
    if not address.startswith(_UNIX):
        host, _, port = address.rpartition(":")
        try:
            bound = socket.create_server((host, int(port)))
        except OSError:
            raise AddressInUseError(address) from None
        return bound, f"{host}:{bound.getsockname()[1]}"
    path = Path(address.removeprefix(_UNIX))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_dead_socket(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise AddressInUseError(str(path)) from None
    finally:
        os.umask(before)
    return bound, address


def _listen_mutual(server: grpc.aio.Server, mutual: MtlsAddress) -> str:
    try:
        port = server.add_secure_port(mutual.target, server_credentials(mutual))
    except RuntimeError:
        raise AddressInUseError(mutual.target) from None
    return str(MtlsAddress(mutual.folder, mutual.host, port))


def _listen_unix(server: grpc.aio.Server, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_dead_socket(path)
    # The mask, not a later chmod: between bind and chmod anybody could connect.
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"{_UNIX}{path}")
    except RuntimeError:
        raise AddressInUseError(str(path)) from None
    finally:
        os.umask(before)


def _remove_dead_socket(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode) or _answers(path):
        raise AddressInUseError(str(path))
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True

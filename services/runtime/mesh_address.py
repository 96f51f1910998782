"""Addresses of the mesh: a Unix socket, a port, or a port behind mutual TLS.

``mtls:/folder@host:port`` names a folder with a caller's or server's own identity: ``tls.crt``,
``tls.key``, and ``ca.crt``, by which the other side is told. Every certificate of a mesh bears
`SERVER_NAME`, so that it does not matter under which host name a part is reached.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

SERVER_NAME: Final = "mesh.heimdallr"
CA: Final = "ca.crt"
CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
_MTLS: Final = re.compile(r"mtls:(?P<folder>/[^@\s]+)@(?P<host>[^@\s]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class MtlsAddress:
    """A port behind mutual TLS.

    Attributes:
        folder: Holds our own identity, and whom we trust.
        host: Name or address.
        port: TCP port.
    """

    folder: Path
    host: str
    port: int

    @property
    def target(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"mtls:{self.folder}@{self.target}"


def mtls_address(address: str) -> MtlsAddress | None:
    """Return the parts of an address behind mutual TLS; None for another address.

    Raises:
        ValueError: It begins like one and is none.
    """
    if not address.startswith("mtls:"):
        return None
    match = _MTLS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("mtls:/folder@host:port")
    return MtlsAddress(Path(match["folder"]), match["host"], int(match["port"]))


def open_transport(address: str, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
    """Return a bare channel to an address.

    Raises:
        OSError: A file of our identity cannot be read.
        ValueError: The address has none of the forms.
    """
    mutual = mtls_address(address)
    if mutual is None:
        return grpc.aio.insecure_channel(address, options=options)
    ca, certificate, key = _identity(mutual.folder)
    named = [*options, ("grpc.ssl_target_name_override", SERVER_NAME)]
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.aio.secure_channel(mutual.target, credentials, options=named)


def server_credentials(mutual: MtlsAddress) -> grpc.ServerCredentials:
    """Return what a server needs to demand a certificate of every caller.

    Raises:
        OSError: A file of our identity cannot be read.
    """
    ca, certificate, key = _identity(mutual.folder)
    return grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)


def _identity(folder: Path) -> tuple[bytes, bytes, bytes]:
    return (
        (folder / CA).read_bytes(),
        (folder / CERTIFICATE).read_bytes(),
        (folder / KEY).read_bytes(),
    )

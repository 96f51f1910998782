"""TLS towards peers, by the profile of BCP 195 (PS3.15 section B.12)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.peers.peer import Credentials

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of TLS 1.3 are all good (RFC 9325 section 4.2)."""


def client_context(
    ca_pem: str, credentials: Credentials, *, names_are_checked: bool
) -> ssl.SSLContext:
    """Return how TLS is spoken to one peer. Its certificate is always verified.

    Args:
        ca_pem: Certificates that the peer's must descend from; "" for those of the system.
        credentials: Holds our certificate, if the peer wants one. Keys touch no disk.
        names_are_checked: Whether the certificate has to name the host.

    Raises:
        ssl.SSLError, ValueError: A certificate or key is none.
    """
    context = ssl.create_default_context(cadata=ca_pem or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.check_hostname = names_are_checked
    if credentials.tls_certificate_pem:
        chain = credentials.tls_certificate_pem.rstrip() + "\n" + credentials.tls_key_pem
        with _in_memory(chain.encode("ascii")) as path:
            context.load_cert_chain(path)
    return context


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    # OpenSSL's API here takes paths alone.
    descriptor = os.memfd_create("chain", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)

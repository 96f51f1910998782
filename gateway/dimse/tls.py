"""TLS of DICOM associations, by the profile of BCP 195 (PS3.15 section B.12)."""

from __future__ import annotations

import ssl
from typing import Final

from gateway.dimse.settings import DicomSettings

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; those of TLS 1.3 are all good (RFC 9325 section 4.2)."""
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class TlsFilesError(Exception):
    """A certificate, key or authority cannot be read, or they do not belong together.

    Attributes:
        setting: The setting at fault.
    """

    def __init__(self, setting: str) -> None:
        super().__init__(f"{setting}: not a PEM file that can be used")
        self.setting = setting


def server_context(settings: DicomSettings) -> ssl.SSLContext | None:
    """Return how TLS is spoken with peers that connect; None where it is not.

    Raises:
        TlsFilesError: A file cannot be used.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if settings.tls_address is None or certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.tls_minimum]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError):
        raise TlsFilesError("tls_certificate, tls_key") from None
    if settings.tls_client_ca is not None:
        try:
            context.load_verify_locations(settings.tls_client_ca)
        except (OSError, ValueError):
            raise TlsFilesError("tls_client_ca") from None
    context.verify_mode = _VERIFY[settings.tls_client_certificate]
    return context

"""TLS of the public listener: a certificate that was given, or one of our own."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.cli.stack.errors import TlsError
from services.cli.stack.layout import Layout
from services.cli.stack.private_file import write_private
from services.cli.stack.settings import StackSettings, TlsSettings

HSTS: Final = "max-age=31536000"
"""RFC 6797; without includeSubDomains, which would speak for hosts that are not ours."""

_LIFETIME: Final = datetime.timedelta(days=825)
_RENEW_BEFORE: Final = datetime.timedelta(days=30)
_SOCKETS: Final = "type.googleapis.com/envoy.extensions.transport_sockets"


def prepare_tls(layout: Layout, settings: StackSettings) -> str | None:
    """Make our own certificate where none was given and none is good; return its fingerprint.

    Returns:
        SHA-256 of the certificate as browsers show it, or None without TLS.

    Raises:
        TlsError: A file cannot be read, or the key is not that of the certificate.
    """
    if settings.tls is None:
        return None
    certificate, key = tls_files(settings.tls, layout)
    if settings.tls.certificate is None and not _is_good(layout, settings.http_address):
        _make(layout, settings.http_address)
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise TlsError(f"{certificate} and {key}: {type(error).__name__}") from None
    if loaded.public_key() != private.public_key():
        raise TlsError(f"{key} is not the key of {certificate}")
    return loaded.fingerprint(hashes.SHA256()).hex(":").upper()


def tls_files(tls: TlsSettings, layout: Layout) -> tuple[Path, Path]:
    """Return the files of the certificate and of its key."""
    if tls.certificate is not None and tls.key is not None:
        return tls.certificate.absolute(), tls.key.absolute()
    return layout.tls_certificate, layout.tls_key


def public_transport(settings: StackSettings, layout: Layout) -> dict[str, Any]:
    """Return Envoy's transport socket of the public listener."""
    if settings.tls is None:
        raw = {"@type": f"{_SOCKETS}.raw_buffer.v3.RawBuffer"}
        return {"name": "envoy.transport_sockets.raw_buffer", "typed_config": raw}
    certificate, key = tls_files(settings.tls, layout)
    files = {
        "certificate_chain": {"filename": str(certificate)},
        "private_key": {"filename": str(key)},
    }
    versions = {
        "tls_minimum_protocol_version": "TLSv1_3",
        "tls_maximum_protocol_version": "TLSv1_3",
    }
    context = {
        "@type": f"{_SOCKETS}.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": versions,
            "tls_certificates": [files],
            "alpn_protocols": ["h2", "http/1.1"],
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _is_good(layout: Layout, address: str) -> bool:
    try:
        found = x509.load_pem_x509_certificate(layout.tls_certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    ends = found.not_valid_after_utc - _RENEW_BEFORE
    alive = ends > datetime.datetime.now(datetime.UTC)
    return alive and layout.tls_key.is_file() and set(_names(address)) <= set(names)


def _make(layout: Layout, address: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Heimdallr on this machine")])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_names(address)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, form, serialization.NoEncryption())
    write_private(layout.tls_key, secret.decode())
    write_private(layout.tls_certificate, certificate.public_bytes(pem).decode())


def _names(address: str) -> list[x509.GeneralName]:
    """Return the names under which browsers reach the listener."""
    everywhere = address in {"0.0.0.0", "::"}  # noqa: S104 -- compared, not listened on
    texts = ["localhost", socket.gethostname(), "127.0.0.1", "::1" if everywhere else address]
    return list(dict.fromkeys(name for text in texts for name in _name(text)))


def _name(text: str) -> list[x509.GeneralName]:
    try:
        return [x509.IPAddress(ipaddress.ip_address(text))]
    except ValueError:
        pass
    try:
        return [x509.DNSName(text.encode("idna").decode("ascii"))]
    except (UnicodeError, ValueError):
        return []

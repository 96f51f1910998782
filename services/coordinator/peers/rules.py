"""What may be registered of a peer. A field that breaks a rule is named with the rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.coordinator.peers.peer import (
    Credentials,
    DicomWebAddress,
    DimseAddress,
    PeerSpec,
    PeerTest,
    TrustZone,
)
from services.dicom.uids import STORAGE_TRANSFER_SYNTAXES
from services.runtime.errors import InvalidFieldError
from services.runtime.forbidden_addresses import is_forbidden
from services.runtime.ids import is_id

KINDS: Final = ("echo", "dicomweb")
_AE_TITLE: Final = re.compile(r"[\x21-\x5B\x5D-\x7E](?:[\x20-\x5B\x5D-\x7E]{0,15})")
_AE_RULE: Final = "1 to 16 printable characters of ASCII without backslash, no space at either end"
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_HOST_RULE: Final = "a host name or a numeric address"
_ADDRESS_RULE: Final = "not a link-local, metadata, multicast or unspecified address"
_URL_RULE: Final = "http:// or https:// with a host, without user, query or fragment"
_MAX_NAME: Final = 64
_MAX_DESCRIPTION: Final = 1_000
_MAX_HOST: Final = 253
_MAX_URL: Final = 1_024
_MAX_PEM: Final = 65_536
_MAX_CERTIFICATES: Final = 100
_MAX_SECRET: Final = 4_096
_MAX_TEXT: Final = 300
_MAX_SYNTAXES: Final = 32


def check_spec(spec: PeerSpec) -> None:
    """Check everything that is registered but credentials.

    Raises:
        InvalidFieldError: Field and rule that is broken.
    """
    _check_text("spec.name", spec.name, _MAX_NAME)
    if not spec.name or spec.name != spec.name.strip():
        raise InvalidFieldError("spec.name", "1 to 64 characters, no space at either end")
    _check_text("spec.description", spec.description, _MAX_DESCRIPTION, lines=True)
    if spec.dimse is None and spec.dicomweb is None:
        raise InvalidFieldError("spec.dimse", "an address for DIMSE or for DICOMweb")
    if spec.move_destination and spec.dimse is None:
        raise InvalidFieldError("spec.move_destination", "needs an address for DIMSE")
    _check_project(spec)
    if spec.dimse is not None:
        _check_dimse(spec.dimse)
    if spec.dicomweb is not None:
        _check_dicomweb(spec.dicomweb)


def check_credentials(credentials: Credentials) -> None:
    """Check what we are to show a peer.

    Raises:
        InvalidFieldError: Field and rule that is broken; never a value.
    """
    for name in ("user_name", "password", "bearer_token"):
        _check_text(f"credentials.{name}", getattr(credentials, name), _MAX_SECRET)
    if ":" in credentials.user_name:
        raise InvalidFieldError("credentials.user_name", "no colon (RFC 7617)")
    if re.search(r"[^\x21-\x7E]", credentials.bearer_token):
        raise InvalidFieldError("credentials.bearer_token", "printable ASCII without spaces")
    if credentials.password and not credentials.user_name:
        raise InvalidFieldError("credentials.user_name", "needed with a password")
    _check_key_pair(credentials.tls_certificate_pem, credentials.tls_key_pem)


def check_test(test: PeerTest) -> None:
    """Check an outcome that a gateway reports.

    Raises:
        InvalidFieldError: Field and rule that is broken.
    """
    if test.kind not in KINDS:
        raise InvalidFieldError("test.kind", f"one of {', '.join(KINDS)}")
    _check_text("test.text", test.text, _MAX_TEXT)
    if test.duration_ms < 0:
        raise InvalidFieldError("test.duration_ms", "not negative")


def _check_project(spec: PeerSpec) -> None:
    field, project = "spec.deid_project_id", spec.deid_project_id
    if project and not is_id(project):
        raise InvalidFieldError(field, "a UUID")
    if project and spec.trust_zone is TrustZone.INSIDE:
        raise InvalidFieldError(field, "of a peer outside alone")


def _check_dimse(address: DimseAddress) -> None:
    _check_ae_title("spec.dimse.ae_title", address.ae_title)
    if address.calling_ae_title:
        _check_ae_title("spec.dimse.calling_ae_title", address.calling_ae_title)
    _check_host("spec.dimse.host", address.host)
    if not 1 <= address.port <= 65_535:
        raise InvalidFieldError("spec.dimse.port", "1 to 65535")
    _check_certificates("spec.dimse.tls_ca_pem", address.tls_ca_pem)
    _check_syntaxes(address.transfer_syntax_uids)


def _check_dicomweb(address: DicomWebAddress) -> None:
    field = "spec.dicomweb.url"
    _check_text(field, address.url, _MAX_URL)
    if re.search(r"[^\x21-\x7E]|\\", address.url):
        raise InvalidFieldError(field, _URL_RULE)
    try:
        parts = urlsplit(address.url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidFieldError(field, _URL_RULE) from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise InvalidFieldError(field, _URL_RULE)
    if "@" in parts.netloc or "?" in address.url or "#" in address.url:
        raise InvalidFieldError(field, _URL_RULE)
    _check_host(field, host)
    _check_certificates("spec.dicomweb.tls_ca_pem", address.tls_ca_pem)


def _check_ae_title(field: str, text: str) -> None:
    if not _AE_TITLE.fullmatch(text) or text.endswith(" "):
        raise InvalidFieldError(field, _AE_RULE)


def _check_host(field: str, host: str) -> None:
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        if is_forbidden(host):
            raise InvalidFieldError(field, _ADDRESS_RULE)
        return
    labels = host.removesuffix(".").split(".")
    # Names that the system's resolver would take for numbers, such as 2852039166 or 0xA9FEA9FE.
    numeric = re.fullmatch(r"[0-9]+|0[xX][0-9A-Fa-f]*", labels[-1]) is not None
    if len(host) > _MAX_HOST or numeric or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidFieldError(field, _HOST_RULE)


def _check_syntaxes(uids: Iterable[str]) -> None:
    field, found = "spec.dimse.transfer_syntax_uids", list(uids)
    if len(found) > _MAX_SYNTAXES or len(set(found)) != len(found):
        raise InvalidFieldError(field, f"at most {_MAX_SYNTAXES}, none twice")
    if not set(found) <= set(STORAGE_TRANSFER_SYNTAXES):
        raise InvalidFieldError(field, "transfer syntaxes of PS3.6 for data sets")


def _check_certificates(field: str, pem: str) -> None:
    if pem and not _certificates(field, pem):
        raise InvalidFieldError(field, "certificates in PEM")


def _certificates(field: str, pem: str) -> list[x509.Certificate]:
    _check_pem(field, pem)
    try:
        found = x509.load_pem_x509_certificates(pem.encode("ascii"))
    except ValueError:
        raise InvalidFieldError(field, "certificates in PEM") from None
    if len(found) > _MAX_CERTIFICATES:
        raise InvalidFieldError(field, f"at most {_MAX_CERTIFICATES} certificates")
    return found


def _check_key_pair(certificate_pem: str, key_pem: str) -> None:
    field = "credentials.tls_key_pem"
    if bool(certificate_pem) != bool(key_pem):
        raise InvalidFieldError(field, "certificate and key go together")
    if not key_pem:
        return
    certificates = _certificates("credentials.tls_certificate_pem", certificate_pem)
    _check_pem(field, key_pem)
    try:
        key = serialization.load_pem_private_key(key_pem.encode("ascii"), password=None)
    except (ValueError, TypeError):
        raise InvalidFieldError(field, "a private key in PEM without a passphrase") from None
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != certificates[0].public_key().public_bytes(*form):
        raise InvalidFieldError(field, "the key of the first certificate")


def _check_pem(field: str, pem: str) -> None:
    if len(pem) > _MAX_PEM or not pem.isascii():
        raise InvalidFieldError(field, f"PEM of at most {_MAX_PEM} characters")


def _check_text(field: str, text: str, longest: int, *, lines: bool = False) -> None:
    if len(text) > longest:
        raise InvalidFieldError(field, f"at most {longest} characters")
    allowed = "\n\r\t" if lines else ""
    if not all(character.isprintable() or character in allowed for character in text):
        raise InvalidFieldError(field, "printable characters")

"""The certificate authority of a mesh, and the identities that it gives out."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.cli.stack.errors import TlsError
from services.cli.stack.private_file import write_private
from services.runtime.mesh_address import CA, CERTIFICATE, KEY, SERVER_NAME

_CA_LIFETIME: Final = datetime.timedelta(days=3650)
_LIFETIME: Final = datetime.timedelta(days=825)
_RENEW_BEFORE: Final = datetime.timedelta(days=60)
_PEM: Final = serialization.Encoding.PEM


class MeshCa:
    """Signs identities of one mesh.

    Args:
        folder: Where its certificate ``mesh-ca.crt`` and key ``mesh-ca.key`` lie; made if absent.

    Raises:
        TlsError: They cannot be read, or one of them is missing.
    """

    def __init__(self, folder: Path) -> None:
        certificate, key = folder / "mesh-ca.crt", folder / "mesh-ca.key"
        if not certificate.exists() and not key.exists():
            _make_ca(certificate, key)
        try:
            self._certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
            loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise TlsError(f"{certificate} and {key}: {type(error).__name__}") from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TlsError(f"{key} is no key on an elliptic curve")
        self._key = loaded

    def provide(self, name: str, folder: Path) -> None:
        """Put an identity into a folder, unless a good one lies there.

        Args:
            name: Our name of the process or site.
            folder: Gets ``ca.crt``, ``tls.crt`` and ``tls.key``.
        """
        if not self._is_good(folder):
            self._issue(name, folder)

    def _is_good(self, folder: Path) -> bool:
        try:
            found = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
            ca = (folder / CA).read_bytes()
        except (OSError, ValueError):
            return False
        ours = ca == self._certificate.public_bytes(_PEM) and (folder / KEY).is_file()
        ends = found.not_valid_after_utc - _RENEW_BEFORE
        return ours and ends > datetime.datetime.now(datetime.UTC)

    def _issue(self, name: str, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        names = [
            x509.DNSName(SERVER_NAME),
            x509.DNSName(f"{name}.{SERVER_NAME}"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        certificate = (
            _certificate(_name(name), self._certificate.subject, key.public_key(), _LIFETIME)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        write_private(folder / KEY, _key_text(key))
        write_private(folder / CERTIFICATE, certificate.public_bytes(_PEM).decode())
        write_private(folder / CA, self._certificate.public_bytes(_PEM).decode())


def _make_ca(certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Heimdallr mesh")
    made = (
        _certificate(name, name, key.public_key(), _CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(key_file, _key_text(key))
    write_private(certificate, made.public_bytes(_PEM).decode())


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + lifetime)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, form, serialization.NoEncryption()).decode()

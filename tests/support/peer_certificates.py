"""Certificates made for a test: an authority, and what it issues to either end of TLS."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """Issues certificates that descend from its own.

    Attributes:
        certificate: Its own certificate.
        key: Its private key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str = "Test authority") -> Self:
        """Return a new authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_certificate(name, key, issuer=name, signer=key, authority=True), key)

    @property
    def pem(self) -> str:
        """Its certificate in PEM."""
        return _pem(self.certificate)

    def issue(self, name: str) -> tuple[str, str]:
        """Return certificate and key in PEM for localhost and 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.certificate.subject.rfc4514_string().removeprefix("CN=")
        made = _certificate(name, key, issuer=issuer, signer=self.key, authority=False)
        return _pem(made), _key_pem(key)

    def files(self, folder: Path, name: str) -> tuple[Path, Path, Path]:
        """Write certificate, key and the authority's certificate, and return their paths."""
        certificate, key = self.issue(name)
        paths = folder / f"{name}.crt", folder / f"{name}.key", folder / f"{name}-ca.crt"
        for path, text in zip(paths, (certificate, key, self.pem), strict=True):
            path.write_text(text, encoding="ascii")
        return paths


def certificate_and_key(name: str) -> tuple[str, str]:
    """Return a certificate of an authority of its own, and its key, in PEM."""
    return Authority.create().issue(name)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    none = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, none).decode("ascii")

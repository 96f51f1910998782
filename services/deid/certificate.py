"""Evidence that can be handed out: what was de-identified, how, and that nothing was found left.

A certificate is JSON, signed with Ed25519. The signing key is derived from the project's key, so
whoever holds that key can verify without anything else; others verify with the public key.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.deid.profile.options import Option, method_codes
from services.deid.profile.table import EDITION

FORMAT: Final = "heimdallr-deid-certificate/1"
_PURPOSE: Final = b"heimdallr de-identification certificate"


class InvalidCertificateError(Exception):
    """A certificate that is not what it says. The text says which rule it breaks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one object.

    Attributes:
        source_sha256: Of the file that came in.
        sha256: Of the file that was released; empty when it was not.
        outcome: "released", or the code of the refusal.
        sought: How many texts the residual scan sought in it, and did not find.
        approved: Codes of findings that a person let through.
    """

    source_sha256: str
    sha256: str
    outcome: str
    sought: int
    approved: tuple[str, ...] = ()


def signing_key(project_key: bytes) -> Ed25519PrivateKey:
    """Return the key that signs for a project."""
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=_PURPOSE).derive(project_key)
    return Ed25519PrivateKey.from_private_bytes(derived)


def public_key_text(key: Ed25519PublicKey) -> str:
    """Return a public key as text: 44 characters of base64."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def certify(
    project_key: bytes,
    key_id: str,
    options: frozenset[Option],
    version: str,
    time: str,
    entries: Sequence[Entry],
    rules: Sequence[str] = (),
) -> str:
    """Return a signed certificate.

    Args:
        project_key: Of the project.
        key_id: What may be said of it.
        options: Of the profile.
        version: Of this software.
        time: When, ISO 8601 UTC.
        entries: One for each object, refused ones too.
        rules: The project's own, each in words.
    """
    key = signing_key(project_key)
    content = {
        "format": FORMAT,
        "time": time,
        "tool": f"Heimdallr {version}",
        "table": f"PS3.15 E.1-1 {EDITION}",
        "method_codes": [{"code": code, "meaning": text} for code, text in method_codes(options)],
        "rules": list(rules),
        "key_id": key_id,
        "public_key": public_key_text(key.public_key()),
        "entries": [asdict(entry) for entry in entries],
    }
    signature = base64.b64encode(key.sign(_canonical(content))).decode()
    return json.dumps({**content, "signature": signature}, indent=1) + "\n"


def verified(text: str, public_key: str) -> Mapping[str, Any]:
    """Return the content of a certificate that was signed by the holder of a key.

    Args:
        text: The certificate.
        public_key: Whose signature is trusted, from ``public_key_text``.

    Raises:
        InvalidCertificateError: It is no certificate, or another's, or was changed.
    """
    try:
        content = json.loads(text)
        signature = base64.b64decode(content.pop("signature"), validate=True)
        trusted = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidCertificateError("not a certificate, or not a key") from None
    if content.get("format") != FORMAT:
        raise InvalidCertificateError("not a certificate of a format that is known")
    try:
        trusted.verify(signature, _canonical(content))
    except InvalidSignature:
        raise InvalidCertificateError("changed since it was signed, or signed by another") from None
    found: Mapping[str, Any] = content
    return found


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

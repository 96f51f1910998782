"""What a pseudonym stands for, sealed so that only the project's key opens it (AES-256-GCM).

The crosswalk is kept by those who may not read it. What is sealed names its project, its kind and
its pseudonym as associated data (NIST SP 800-38D), so a row that was moved does not open.
"""

from __future__ import annotations

import json
import secrets
import struct
from dataclasses import asdict, dataclass
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.deid.project_key import KeyVersion, ProjectKey

Kind = Literal["patient", "study", "series"]
_PURPOSE: Final = b"heimdallr de-identification crosswalk"
_HEADER: Final = struct.Struct(">BI")
_FORM: Final = 1
_NONCE_BYTES: Final = 12


class NotOurSealError(Exception):
    """What another key sealed, or for another pseudonym, or what was changed since."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a pseudonym belongs to; sealed for it alone.

    Attributes:
        project_id: Our id of the project.
        kind: What it stands for.
        pseudonym: A Patient ID, or a UID.
    """

    project_id: str
    kind: Kind
    pseudonym: str

    @property
    def associated(self) -> bytes:
        """The link as one string that no other link gives."""
        return "\0".join((self.project_id, self.kind, self.pseudonym)).encode()


@dataclass(frozen=True, slots=True)
class Sealable:
    """Who or what a pseudonym stands for; empty where it does not apply.

    Attributes:
        patient_id: Patient ID.
        issuer: Issuer of Patient ID.
        patient_name: Patient's Name.
        birth_date: Patient's Birth Date, as sent.
        original_uid: UID of a study or series.
    """

    patient_id: str = ""
    issuer: str = ""
    patient_name: str = ""
    birth_date: str = ""
    original_uid: str = ""


def seal(version: KeyVersion, link: Link, identity: Sealable) -> bytes:
    """Return an identity sealed under one version of a project's key."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = json.dumps(asdict(identity)).encode("ascii")
    sealed = AESGCM(_key(version)).encrypt(nonce, plain, link.associated)
    return _HEADER.pack(_FORM, version.number) + nonce + sealed


def unseal(key: ProjectKey, link: Link, sealed: bytes) -> Sealable:
    """Return what was sealed for a link.

    Raises:
        NotOurSealError: By another key, for another pseudonym, or changed since.
    """
    try:
        form, number = _HEADER.unpack_from(sealed)
        nonce, rest = sealed[_HEADER.size :][:_NONCE_BYTES], sealed[_HEADER.size + _NONCE_BYTES :]
        version = key.versions.get(number)
        if form != _FORM or version is None:
            raise NotOurSealError
        plain = AESGCM(_key(version)).decrypt(nonce, rest, link.associated)
        return Sealable(**json.loads(plain))
    except (struct.error, InvalidTag, ValueError, TypeError):
        raise NotOurSealError from None


def _key(version: KeyVersion) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=_PURPOSE).derive(version.key)

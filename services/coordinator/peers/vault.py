"""Secrets at rest: sealed with a key that lies outside the database."""

from __future__ import annotations

import base64
import binascii
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.runtime.signing_key import write_private

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class SealBrokenError(Exception):
    """What was sealed was changed, belongs elsewhere, or was sealed with another key."""


class Vault:
    """Seals and opens with AES-256-GCM (NIST SP 800-38D).

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Return the vault whose key is in a file; two processes that start at once agree.

        Raises:
            ValueError: The file holds no key of ours.
        """
        if not path.exists():
            made = base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n"
            with suppress(FileExistsError):
                write_private(path, made, replace=False)
        try:
            key = base64.b64decode(path.read_bytes().strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _KEY_BYTES:
            raise ValueError("the file of the peers' key holds none")
        return cls(key)

    def seal(self, secret: bytes, owner: str) -> bytes:
        """Return a secret that opens only with the same key and for the same owner."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret, owner.encode())

    def unseal(self, sealed: bytes, owner: str) -> bytes:
        """Return what was sealed.

        Raises:
            SealBrokenError: It was not sealed so, or not for this owner.
        """
        start = len(_VERSION) + _NONCE_BYTES
        if sealed[: len(_VERSION)] != _VERSION or len(sealed) < start:
            raise SealBrokenError
        nonce, body = sealed[len(_VERSION) : start], sealed[start:]
        try:
            return self._cipher.decrypt(nonce, body, owner.encode())
        except InvalidTag:
            raise SealBrokenError from None

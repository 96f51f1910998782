"""The keys of a data folder, sealed by a passphrase (scrypt, RFC 7914; AES-256-GCM)."""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from services.cli.backup.snapshot import BackupError
from services.cli.stack.private_file import write_private

_COST: Final = 2**16
_LEFT_OUT: Final = frozenset({"sign-in"})
_PURPOSE: Final = b"heimdallr keys 1"
_PROJECTS: Final = "deid"
"""Folder of the keys of de-identification projects: nobody can make those again."""


def seal_keys(keys: Path, target: Path, passphrase: str) -> None:
    """Write every key of a folder into one sealed file."""
    plain = {
        str(path.relative_to(keys)): b64encode(path.read_bytes()).decode()
        for path in sorted((*keys.iterdir(), *(keys / _PROJECTS).glob("*")))
        if path.is_file() and path.name not in _LEFT_OUT and not path.name.startswith(".")
    }
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, json.dumps(plain).encode(), _PURPOSE)
    parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
    text = json.dumps({name: b64encode(part).decode() for name, part in parts.items()})
    write_private(target, text)


def open_keys(source: Path, keys: Path, passphrase: str) -> None:
    """Write the keys of a sealed file into a folder.

    Raises:
        BackupError: The passphrase is another one, or the file is broken.
    """
    try:
        parts = {name: b64decode(text) for name, text in json.loads(source.read_text()).items()}
        plain = AESGCM(_key(passphrase, parts["salt"])).decrypt(
            parts["nonce"], parts["sealed"], _PURPOSE
        )
        files = {name: b64decode(text) for name, text in json.loads(plain).items()}
    except (InvalidTag, ValueError, KeyError):
        raise BackupError("the keys do not open: another passphrase, or a broken file") from None
    for name, content in files.items():
        folder = keys / _PROJECTS if Path(name).parent.name == _PROJECTS else keys
        write_private(folder / Path(name).name, content.decode())


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(passphrase.encode())

"""Names in place of names: the same under one key for ever, unlinkable under another.

Everything is derived from the project's key by HMAC-SHA-256 with a purpose of its own, so nothing
has to be remembered for two machines, or two years, to agree.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pydicom._uid_dict import UID_dictionary

MIN_KEY_BYTES: Final = 32
MAX_SHIFT_DAYS: Final = 3650
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_UID_CACHE: Final = 65_536


class WeakKeyError(ValueError):
    """A key must have at least 32 bytes."""

    def __init__(self) -> None:
        super().__init__(f"a key has at least {MIN_KEY_BYTES} bytes")


class Pseudonyms:
    """What one project calls patients and objects.

    Args:
        key: Secret of the project, at least 32 bytes.

    Attributes:
        key_id: What a certificate may say of the key: eight hexadecimal digits, no part of it.
        uid: Returns the UID in place of another; a registered one stays (PS3.6 Annex A).

    Raises:
        WeakKeyError: It is shorter.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise WeakKeyError
        self._key = key
        self.key_id = self._digest("key id", "").hex()[:8]
        self.uid: Callable[[str], str] = lru_cache(_UID_CACHE)(self._uid)

    def patient(self, patient_key: str) -> str:
        """Return the pseudonym of a patient: 16 characters that are hard to misread."""
        number = int.from_bytes(self._digest("patient", patient_key)[:10], "big")
        return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(16))

    def tag(self, patient_key: str) -> str:
        """Return what tells one patient from another and nothing else: 32 hexadecimal digits."""
        return self._digest("patient tag", patient_key).hex()[:32]

    def shift_days(self, patient_key: str) -> int:
        """Return by how many days the patient's dates go back, 1 to 3,650, as a negative number."""
        number = int.from_bytes(self._digest("date shift", patient_key)[:8], "big")
        return -(1 + number % MAX_SHIFT_DAYS)

    def _uid(self, uid: str) -> str:
        """Return the UID in place of another; a registered one stays (PS3.6 Annex A)."""
        return uid if uid in UID_dictionary else self._derived(uid)

    def _derived(self, uid: str) -> str:
        # 122 bits of the digest in the form of a UUID, under the root for those (PS3.5 B.2).
        number = int.from_bytes(self._digest("uid", uid)[:16], "big")
        number = number & ~(0xF << 76) | 8 << 76
        return f"2.25.{number & ~(3 << 62) | 2 << 62}"

    def _digest(self, purpose: str, value: str) -> bytes:
        message = f"{purpose}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256)


def patient_key(patient_id: str, issuer: str, fallback: str) -> str:
    """Return by what a patient is known: Patient ID with its issuer, or else a fallback.

    Args:
        patient_id: Patient ID (0010,0020), may be empty.
        issuer: Issuer of Patient ID (0010,0021), may be empty.
        fallback: Study Instance UID: without a Patient ID nothing tells that two studies are of
            one person.
    """
    if not patient_id:
        return f"study\0{fallback}"
    return f"id\0{issuer}\0{patient_id}"

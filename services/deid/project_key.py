"""The key of a project, in versions, and the form in which it lies in a file.

A version is never changed or taken away: patients stay known under the version by which they were
first met. Whatever has to be the same for all of them, such as the tag that tells one patient from
another, comes from the first version.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from services.deid.pseudonyms import MIN_KEY_BYTES, Pseudonyms

FORMAT: Final = "heimdallr-deid-key/1"
_VERSION: Final = re.compile(r"[1-9][0-9]{0,5}")


class InvalidKeyError(Exception):
    """A file that holds no key; the text says which rule it breaks, and nothing of it."""


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One version of a key.

    Attributes:
        number: From 1.
        key: The secret, at least 32 bytes.
        create_time: ISO 8601 UTC; empty where nobody knows.
    """

    number: int
    key: bytes
    create_time: str

    def __repr__(self) -> str:
        return f"KeyVersion(number={self.number})"


@dataclass(frozen=True)
class ProjectKey:
    """All versions of a project's key.

    Attributes:
        versions: By number; never empty.
    """

    versions: Mapping[int, KeyVersion]

    @classmethod
    def made(cls) -> ProjectKey:
        """Return a new key of one version."""
        return cls({1: _made(1)})

    @classmethod
    def of_bytes(cls, key: bytes) -> ProjectKey:
        """Return the key that some bytes are.

        Raises:
            InvalidKeyError: They are too few.
        """
        if len(key) < MIN_KEY_BYTES:
            raise InvalidKeyError(f"a key has at least {MIN_KEY_BYTES} bytes")
        return cls({1: KeyVersion(1, key, "")})

    @property
    def first(self) -> KeyVersion:
        """The version by which the project is told from others."""
        return self.versions[min(self.versions)]

    @property
    def newest(self) -> KeyVersion:
        """The version that patients get who are not known."""
        return self.versions[max(self.versions)]

    @cached_property
    def key_id(self) -> str:
        """What may be said of the key: eight hexadecimal digits, whatever was rotated."""
        return self._of(self.first.number).key_id

    def rotated(self) -> ProjectKey:
        """Return the key with one more version."""
        number = self.newest.number + 1
        return ProjectKey({**self.versions, number: _made(number)})

    def tag(self, patient_key: str) -> str:
        """Return what tells a patient of the project from others, the same for ever."""
        return self._of(self.first.number).tag(patient_key)

    def pseudonyms(self, version: int = 0) -> Pseudonyms:
        """Return the pseudonyms of a version, of the newest for 0.

        Raises:
            InvalidKeyError: There is no such version.
        """
        number = version or self.newest.number
        if number not in self.versions:
            raise InvalidKeyError("the key has no such version")
        return self._of(number)

    def _of(self, number: int) -> Pseudonyms:
        found = self._pseudonyms.get(number)
        if found is None:
            found = self._pseudonyms[number] = Pseudonyms(self.versions[number].key)
        return found

    @cached_property
    def _pseudonyms(self) -> dict[int, Pseudonyms]:
        return {}


def as_text(key: ProjectKey) -> str:
    """Return a key as its file has it."""
    versions = {
        str(one.number): {"key": one.key.hex(), "create_time": one.create_time}
        for one in key.versions.values()
    }
    return json.dumps({"format": FORMAT, "versions": versions}, indent=1) + "\n"


def from_text(content: bytes) -> ProjectKey:
    """Return the key that a file holds: in our form, or as nothing but its bytes.

    Raises:
        InvalidKeyError: It holds none.
    """
    if not content.lstrip().startswith(b"{"):
        return ProjectKey.of_bytes(content.strip())
    try:
        stored = json.loads(content)
        versions = [_version(number, one) for number, one in stored["versions"].items()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidKeyError("not a key file") from None
    if stored.get("format") != FORMAT or not versions:
        raise InvalidKeyError("not a key file of a form that is known")
    return ProjectKey({one.number: one for one in versions})


def _version(number: str, stored: Mapping[str, Any]) -> KeyVersion:
    key = bytes.fromhex(stored["key"])
    if not _VERSION.fullmatch(number) or len(key) < MIN_KEY_BYTES:
        raise ValueError
    return KeyVersion(int(number), key, str(stored.get("create_time", "")))


def _made(number: int) -> KeyVersion:
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return KeyVersion(number, secrets.token_bytes(MIN_KEY_BYTES), time)

"""ES256 tokens (RFC 7519, RFC 7518 section 3.4): who calls and what they may do."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.errors import DependencyUnavailableError, UnauthenticatedError
from services.runtime.ids import new_id
from services.runtime.permissions import permissions_of, scope
from services.runtime.signing_key import key_id, load_or_create_key, write_private

ISSUER: Final = "heimdallr"
AUDIENCE: Final = "heimdallr-mesh"
_ALGORITHM: Final = "ES256"
_LEEWAY_S: Final = 5
_REMEMBERED: Final = 1024
_REQUIRED_CLAIMS: Final = ["iss", "aud", "sub", "kind", "scope", "iat", "nbf", "exp", "jti"]


class CallerKind(StrEnum):
    """Sort of caller a token was made for."""

    PERSON = "person"
    SERVICE = "service"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    Attributes:
        subject: User id, name of a service, or name of an outside client.
        kind: Sort of caller.
        permissions: What the token permits.
        expire_time: When the token stops being accepted, UTC.
        token_id: Unique id of the token (`jti`).
    """

    subject: str
    kind: CallerKind
    permissions: frozenset[Permission.ValueType]
    expire_time: datetime
    token_id: str


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def current_caller() -> Caller:
    """Return who makes the call that is being handled.

    Raises:
        UnauthenticatedError: No caller is known, as outside of a handler.
    """
    caller = _caller.get()
    if caller is None:
        raise UnauthenticatedError
    return caller


def set_current_caller(caller: Caller) -> None:
    """Remember the caller for the rest of the running task."""
    _caller.set(caller)


class Issuer:
    """Makes tokens with one private key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self._key_id = key_id(key.public_key())

    @classmethod
    def load_or_create(cls, path: Path) -> Issuer:
        """Read the key from a PEM file, made first (mode 0600, folder 0700) if absent.

        Raises:
            ValueError: The file holds no P-256 private key.
        """
        return cls(load_or_create_key(path))

    def mint(
        self,
        subject: str,
        kind: CallerKind,
        permissions: Iterable[Permission.ValueType],
        lifetime: timedelta,
        token_id: str | None = None,
    ) -> str:
        """Return a signed token that is valid from now on."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "kind": kind.value,
            "scope": scope(permissions),
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            "jti": token_id or new_id(),
        }
        return jwt.encode(claims, self._key, _ALGORITHM, headers={"kid": self._key_id})

    def jwks(self) -> str:
        """Return the public key as a JSON Web Key Set (RFC 7517)."""
        public: dict[str, Any] = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        public |= {"kid": self._key_id, "use": "sig", "alg": _ALGORITHM}
        return json.dumps({"keys": [public]}, sort_keys=True)

    def write_jwks(self, path: Path) -> None:
        """Put the key set where verifiers read it, in one step."""
        write_private(path, self.jwks().encode("ascii"), replace=True)


class Verifier:
    """Checks tokens against a key set file, read again whenever it changes."""

    def __init__(self, jwks_file: Path) -> None:
        self._file = jwks_file
        self._version: tuple[int, int, int] | None = None
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._verified: dict[bytes, Caller] = {}

    def verify(self, token: str) -> Caller:
        """Return the caller a token was made for.

        Raises:
            UnauthenticatedError: Malformed, expired, not yet valid, or signed by another key.
            DependencyUnavailableError: The key set cannot be read.
        """
        self._refresh()
        # A token stands in every call of its caller, and what it says never changes.
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        caller = self._verified.get(digest)
        if caller is None or caller.expire_time.timestamp() + _LEEWAY_S <= time.time():
            caller = self._checked(token)
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[digest] = caller
        return caller

    def _checked(self, token: str) -> Caller:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys[header["kid"]]
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=_LEEWAY_S,
                options={"require": _REQUIRED_CLAIMS},
            )
            return _caller_of(claims)
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError):
            raise UnauthenticatedError from None

    def _refresh(self) -> None:
        try:
            status = self._file.stat()
            version = (status.st_mtime_ns, status.st_ino, status.st_size)
            if version != self._version:
                key_set = jwt.PyJWKSet.from_json(self._file.read_text(encoding="ascii"))
                self._keys = _signing_keys(key_set)
                self._verified.clear()
                self._version = version
        except (OSError, ValueError, jwt.PyJWTError):
            if self._version is None:
                raise DependencyUnavailableError("token_keys") from None


def _signing_keys(key_set: jwt.PyJWKSet) -> dict[str, jwt.PyJWK]:
    return {
        key.key_id: key
        for key in key_set.keys
        if key.key_id is not None and key.algorithm_name == _ALGORITHM
    }


def _caller_of(claims: Mapping[str, Any]) -> Caller:
    subject, token_id = claims["sub"], claims["jti"]
    if not subject or not token_id:
        raise ValueError("empty claim")
    return Caller(
        subject=subject,
        kind=CallerKind(claims["kind"]),
        permissions=permissions_of(claims["scope"]),
        expire_time=datetime.fromtimestamp(claims["exp"], UTC),
        token_id=token_id,
    )

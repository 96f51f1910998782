"""Tokens of ours are accepted; everything else is not."""

from __future__ import annotations

import base64
import hmac
import json
import stat
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.errors import DependencyUnavailableError, UnauthenticatedError
from services.runtime.signing_key import load_or_create_key
from services.runtime.tokens import CallerKind, Issuer, Verifier, current_caller
from tests.support.tokens import TestTokens

READ = Permission.PERMISSION_ARCHIVE_READ
HOUR = timedelta(hours=1)


@pytest.fixture
def tokens(tmp_path: Path) -> TestTokens:
    return TestTokens.create(tmp_path)


@pytest.fixture
def verifier(tokens: TestTokens) -> Verifier:
    return Verifier(tokens.jwks_file)


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    values = {
        "iss": "heimdallr",
        "aud": "heimdallr-mesh",
        "sub": "someone",
        "kind": "service",
        "scope": "archive_read",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "jti": "1",
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def signed(tmp_path: Path, tokens: TestTokens, **changes: Any) -> str:
    pem = (tmp_path / "signing.pem").read_bytes()
    kid = json.loads(tokens.issuer.jwks())["keys"][0]["kid"]
    return jwt.encode(claims(**changes), pem, "ES256", headers={"kid": kid})


def test_a_token_says_who_calls(tokens: TestTokens, verifier: Verifier) -> None:
    before = datetime.now(UTC)

    caller = verifier.verify(tokens.issuer.mint("gateway", CallerKind.SERVICE, [READ], HOUR, "t1"))

    assert (caller.subject, caller.kind, caller.token_id) == ("gateway", CallerKind.SERVICE, "t1")
    assert caller.permissions == {READ}
    assert timedelta(minutes=59) < caller.expire_time - before <= HOUR


def test_the_claims_are_as_others_can_check_them(tmp_path: Path, tokens: TestTokens) -> None:
    token = signed(tmp_path, tokens)

    assert Verifier(tokens.jwks_file).verify(token).subject == "someone"


_YEAR_2100 = 4_102_444_800


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"exp": 1},
        {"nbf": _YEAR_2100},
        {"iat": _YEAR_2100},
        {"kind": "root"},
        {"sub": ""},
        {"sub": 5},
        {"jti": ""},
        {"scope": 7},
        *({name: None} for name in ("iss", "aud", "sub", "kind", "scope", "exp", "nbf", "jti")),
    ],
    ids=str,
)
def test_a_wrong_claim_is_refused(
    tmp_path: Path, tokens: TestTokens, verifier: Verifier, changes: dict[str, Any]
) -> None:
    token = signed(tmp_path, tokens, **changes)

    with pytest.raises(UnauthenticatedError):
        verifier.verify(token)


def unsigned(tokens: TestTokens, algorithm: str) -> str:
    kid = json.loads(tokens.issuer.jwks())["keys"][0]["kid"]
    header = {"alg": algorithm, "typ": "JWT", "kid": kid}
    return ".".join(encoded(json.dumps(part).encode()) for part in (header, claims()))


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "ES256"])
def test_a_token_without_signature_is_refused(
    tokens: TestTokens, verifier: Verifier, algorithm: str
) -> None:
    with pytest.raises(UnauthenticatedError):
        verifier.verify(f"{unsigned(tokens, algorithm)}.")


@pytest.mark.parametrize("form", ["jwk", "pem", "jwks"])
def test_the_public_key_is_no_shared_secret(
    tmp_path: Path, tokens: TestTokens, verifier: Verifier, form: str
) -> None:
    private = load_or_create_key(tmp_path / "signing.pem")
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    jwks = tokens.issuer.jwks()
    secrets = {"pem": pem, "jwks": jwks.encode()}
    secrets["jwk"] = json.dumps(json.loads(jwks)["keys"][0]).encode()
    content = unsigned(tokens, "HS256")

    signature = encoded(hmac.digest(secrets[form], content.encode(), "sha256"))

    with pytest.raises(UnauthenticatedError):
        verifier.verify(f"{content}.{signature}")


def test_another_key_under_our_key_id_is_refused(tokens: TestTokens, verifier: Verifier) -> None:
    kid = json.loads(tokens.issuer.jwks())["keys"][0]["kid"]
    other = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode(claims(), other, "ES256", headers={"kid": kid})

    with pytest.raises(UnauthenticatedError):
        verifier.verify(token)


def test_a_changed_token_is_refused(tokens: TestTokens, verifier: Verifier) -> None:
    header, payload, signature = tokens.mint(READ).split(".")
    content = json.loads(base64.urlsafe_b64decode(payload + "=="))
    content["scope"] = "access_admin"
    forged = encoded(json.dumps(content).encode())

    with pytest.raises(UnauthenticatedError):
        verifier.verify(f"{header}.{forged}.{signature}")


def test_a_token_that_was_accepted_is_refused_once_it_is_over(
    tokens: TestTokens, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.mint(READ)
    assert verifier.verify(token) is verifier.verify(token)
    later = time.time() + 86400 * 400

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(later, tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", Later)
    monkeypatch.setattr(time, "time", lambda: later)

    with pytest.raises(UnauthenticatedError):
        verifier.verify(token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\x00", "é.é.é", "..", "e30.e30."])
def test_text_that_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    with pytest.raises(UnauthenticatedError):
        verifier.verify(token)


def test_new_keys_are_used_without_a_restart(
    tmp_path: Path, tokens: TestTokens, verifier: Verifier
) -> None:
    before = tokens.mint(READ)
    verifier.verify(before)
    successor = Issuer.load_or_create(tmp_path / "successor.pem")
    successor.write_jwks(tokens.jwks_file)

    caller = verifier.verify(successor.mint("new", CallerKind.PERSON, [READ], HOUR))

    assert caller.subject == "new"
    for withdrawn in (before, tokens.mint(READ)):
        with pytest.raises(UnauthenticatedError):
            verifier.verify(withdrawn)


def test_missing_keys_are_no_fault_of_the_caller(tmp_path: Path, tokens: TestTokens) -> None:
    with pytest.raises(DependencyUnavailableError):
        Verifier(tmp_path / "absent.json").verify(tokens.mint(READ))


def test_the_key_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"

    first = Issuer.load_or_create(path).jwks()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Issuer.load_or_create(path).jwks() == first
    assert [file.name for file in path.parent.iterdir()] == ["signing.pem"]


def test_a_key_of_another_curve_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "key.pem").write_bytes(pem)

    with pytest.raises(ValueError, match="P-256"):
        Issuer.load_or_create(tmp_path / "key.pem")


def test_outside_of_a_call_there_is_no_caller() -> None:
    with pytest.raises(UnauthenticatedError):
        current_caller()

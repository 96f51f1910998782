"""Tokens for tests, from an issuer of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.token_source import FixedTokenSource
from services.runtime.tokens import CallerKind, Issuer


@dataclass(frozen=True, slots=True)
class TestTokens:
    """An issuer and the file that verifiers read its key from."""

    __test__ = False

    issuer: Issuer
    jwks_file: Path

    @classmethod
    def create(cls, folder: Path) -> TestTokens:
        """Make an issuer in a folder."""
        issuer = Issuer.load_or_create(folder / "signing.pem")
        jwks_file = folder / "jwks.json"
        issuer.write_jwks(jwks_file)
        return cls(issuer, jwks_file)

    def mint(
        self,
        *permissions: Permission.ValueType,
        subject: str = "tester",
        kind: CallerKind = CallerKind.SERVICE,
        lifetime_s: float = 60,
    ) -> str:
        """Return a token with some permissions."""
        return self.issuer.mint(subject, kind, permissions, timedelta(seconds=lifetime_s))

    def source(
        self, *permissions: Permission.ValueType, subject: str = "tester"
    ) -> FixedTokenSource:
        """Return a token source with some permissions."""
        return FixedTokenSource(self.mint(*permissions))

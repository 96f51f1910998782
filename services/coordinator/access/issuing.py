"""Which token whom gets, and for how long."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1.permission_pb2 import Permission
from services.coordinator.access.user import Role, User
from services.runtime.permissions import ROLE_PERMISSIONS
from services.runtime.tokens import CallerKind, Issuer

PERSON_LIFETIME: Final = timedelta(hours=12)
SIGN_IN_LIFETIME: Final = timedelta(hours=24)

_PERMISSIONS: Final = {
    Role.VIEWER: ROLE_PERMISSIONS[pb.ROLE_VIEWER],
    Role.TECHNICIAN: ROLE_PERMISSIONS[pb.ROLE_TECHNICIAN],
    Role.RADIOLOGIST: ROLE_PERMISSIONS[pb.ROLE_RADIOLOGIST],
    Role.ADMINISTRATOR: ROLE_PERMISSIONS[pb.ROLE_ADMINISTRATOR],
}


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A bearer token and when it stops being accepted, UTC."""

    token: str
    expire_time: datetime


def issue(
    issuer: Issuer,
    subject: str,
    kind: CallerKind,
    permissions: Iterable[Permission.ValueType],
    lifetime: timedelta,
) -> IssuedToken:
    """Return a fresh token."""
    now = datetime.now(UTC).replace(microsecond=0)
    return IssuedToken(issuer.mint(subject, kind, permissions, lifetime), now + lifetime)


def person_token(issuer: Issuer, user: User) -> IssuedToken:
    """Return the token of a person who has signed in, with their roles of now."""
    permissions = frozenset[Permission.ValueType]().union(
        *(_PERMISSIONS[role] for role in user.roles)
    )
    return issue(issuer, user.user_id, CallerKind.PERSON, permissions, PERSON_LIFETIME)


def sign_in_token(issuer: Issuer, user: User) -> IssuedToken:
    """Return a token that lets a person sign in once and do nothing else."""
    permissions = (Permission.PERMISSION_ACCESS_SIGN_IN,)
    return issue(issuer, user.user_id, CallerKind.PERSON, permissions, SIGN_IN_LIFETIME)

"""People and tokens as messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from heimdallr.access.v1 import access_service_pb2 as pb
from services.coordinator.access.issuing import IssuedToken
from services.coordinator.access.user import Role, User
from services.runtime.errors import InvalidFieldError

_TO_PROTO: Final[Mapping[Role, pb.Role.ValueType]] = {
    Role.VIEWER: pb.ROLE_VIEWER,
    Role.TECHNICIAN: pb.ROLE_TECHNICIAN,
    Role.RADIOLOGIST: pb.ROLE_RADIOLOGIST,
    Role.ADMINISTRATOR: pb.ROLE_ADMINISTRATOR,
}
_FROM_PROTO: Final = {value: role for role, value in _TO_PROTO.items()}


def role_to_proto(role: Role) -> pb.Role.ValueType:
    """Return a role as it goes on the wire."""
    return _TO_PROTO[role]


def roles_from_proto(roles: Iterable[pb.Role.ValueType]) -> frozenset[Role]:
    """Return the roles a request names.

    Raises:
        InvalidFieldError: There is none, or one is unspecified or unknown.
    """
    found = frozenset(_FROM_PROTO.get(role) for role in roles)
    known = frozenset(role for role in found if role is not None)
    if not known or len(known) != len(found):
        raise InvalidFieldError("roles", "at least one, none unspecified or unknown")
    return known


def user_to_proto(user: User) -> pb.User:
    """Return a person as they go on the wire, roles in the order of their numbers."""
    message = pb.User(
        user_id=user.user_id,
        name=user.name,
        roles=sorted(_TO_PROTO[role] for role in user.roles),
        enabled=user.enabled,
    )
    message.create_time.FromDatetime(user.create_time)
    return message


def issued_to_proto(issued: IssuedToken) -> pb.IssuedToken:
    """Return a token as it goes on the wire."""
    message = pb.IssuedToken(token=issued.token)
    message.expire_time.FromDatetime(issued.expire_time)
    return message

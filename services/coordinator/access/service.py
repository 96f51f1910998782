"""gRPC adapter of access: translates messages and checks their fields."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import grpc

from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1 import access_service_pb2_grpc as pb_grpc
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from services.coordinator.access.errors import UserNotFoundError
from services.coordinator.access.issuing import issue, person_token, sign_in_token
from services.coordinator.access.messages import (
    issued_to_proto,
    roles_from_proto,
    user_to_proto,
)
from services.coordinator.access.passwords import Passwords
from services.coordinator.access.store import AccessStore
from services.coordinator.access.user import User, is_name
from services.runtime import logs
from services.runtime.audit import CallRecorder
from services.runtime.errors import (
    DependencyUnavailableError,
    InvalidFieldError,
    PermissionDeniedError,
)
from services.runtime.ids import is_id
from services.runtime.permissions import SERVICE_PERMISSIONS, scope_name
from services.runtime.tokens import Caller, CallerKind, Issuer, current_caller

Context = grpc.aio.ServicerContext[Any, Any]

SIGN_IN_NOT_RECORDED: Final = "audit.sign_in_not_recorded"
_SIGN_IN_METHOD: Final = "/heimdallr.access.v1.AccessService/SignInWithPassword"
_NAME_RULE: Final = "1 to 64 of a-z, 0-9, '.', '_', '-'"
_MIN_LIFETIME_S: Final = 60
_MAX_LIFETIME_S: Final = 31_536_000
_DEFAULT_LIFETIME_S: Final = 3_600
_MAX_PAGE: Final = 500
_DEFAULT_PAGE: Final = 100
_NOT_AUDITED: Final = (AuditAction.AUDIT_ACTION_UNSPECIFIED, AuditAction.AUDIT_ACTION_NONE)


class AccessService(pb_grpc.AccessServiceServicer):
    """Serves ``heimdallr.access.v1.AccessService``.

    Args:
        store: People.
        passwords: Their passwords.
        issuer: Signs tokens.
        recorder: Records who signed in, where the caller is the gateway and not the person.
    """

    def __init__(
        self, store: AccessStore, passwords: Passwords, issuer: Issuer, recorder: CallRecorder
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._issuer = issuer
        self._recorder = recorder

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        """See ``access_service.proto``."""
        caller = current_caller()
        user = await self._store.sign_in(caller.subject, caller.token_id, caller.expire_time)
        token = issued_to_proto(person_token(self._issuer, user))
        return pb.SignInResponse(token=token, user=user_to_proto(user))

    async def SignInWithPassword(
        self, request: pb.SignInWithPasswordRequest, context: Context
    ) -> pb.SignInWithPasswordResponse:
        """See ``access_service.proto``."""
        user = await self._passwords.sign_in(request.name, request.password)
        await self._record_sign_in(user)
        token = issued_to_proto(person_token(self._issuer, user))
        return pb.SignInWithPasswordResponse(token=token, user=user_to_proto(user))

    async def SetPassword(
        self, request: pb.SetPasswordRequest, context: Context
    ) -> pb.SetPasswordResponse:
        """See ``access_service.proto``."""
        user = await self._calling_person()
        await self._passwords.set(user, request.present_password, request.new_password)
        return pb.SetPasswordResponse()

    async def GetCaller(
        self, request: pb.GetCallerRequest, context: Context
    ) -> pb.GetCallerResponse:
        """See ``access_service.proto``."""
        caller = current_caller()
        response = pb.GetCallerResponse(
            subject=caller.subject,
            permissions=sorted(caller.permissions),
            audited_actions=[item for item in AuditAction.values() if item not in _NOT_AUDITED],
        )
        response.expire_time.FromDatetime(caller.expire_time)
        if caller.kind is CallerKind.PERSON:
            with suppress(UserNotFoundError):
                user = await self._store.user(caller.subject)
                response.user.CopyFrom(user_to_proto(user))
                response.has_password = await self._passwords.has(user.user_id)
        return response

    async def RenewToken(
        self, request: pb.RenewTokenRequest, context: Context
    ) -> pb.RenewTokenResponse:
        """See ``access_service.proto``."""
        user = await self._calling_person()
        return pb.RenewTokenResponse(token=issued_to_proto(person_token(self._issuer, user)))

    async def IssueToken(
        self, request: pb.IssueTokenRequest, context: Context
    ) -> pb.IssueTokenResponse:
        """See ``access_service.proto``."""
        _check_client_name(request.client_name)
        permissions = frozenset(request.permissions)
        _check_permissions(permissions, current_caller())
        lifetime = _lifetime(request.lifetime_seconds)
        issued = issue(self._issuer, request.client_name, CallerKind.CLIENT, permissions, lifetime)
        return pb.IssueTokenResponse(token=issued_to_proto(issued))

    async def CreateUser(
        self, request: pb.CreateUserRequest, context: Context
    ) -> pb.CreateUserResponse:
        """See ``access_service.proto``."""
        if not is_name(request.name):
            raise InvalidFieldError("name", _NAME_RULE)
        user = await self._store.create_user(request.name, roles_from_proto(request.roles))
        token = issued_to_proto(sign_in_token(self._issuer, user))
        return pb.CreateUserResponse(user=user_to_proto(user), sign_in_token=token)

    async def UpdateUser(
        self, request: pb.UpdateUserRequest, context: Context
    ) -> pb.UpdateUserResponse:
        """See ``access_service.proto``."""
        roles = roles_from_proto(request.roles)
        user = await self._store.update_user(request.user_id, roles, enabled=request.enabled)
        return pb.UpdateUserResponse(user=user_to_proto(user))

    async def ListUsers(
        self, request: pb.ListUsersRequest, context: Context
    ) -> pb.ListUsersResponse:
        """See ``access_service.proto``."""
        size = request.page_size or _DEFAULT_PAGE
        if not 1 <= size <= _MAX_PAGE:
            raise InvalidFieldError("page_size", f"0 to {_MAX_PAGE}")
        if request.page_token and not is_name(request.page_token):
            raise InvalidFieldError("page_token", "as given with the previous page")
        users = await self._store.list_users(request.page_token, size + 1)
        page = users[:size]
        return pb.ListUsersResponse(
            users=map(user_to_proto, page),
            next_page_token=page[-1].name if len(users) > size else "",
        )

    async def _record_sign_in(self, user: User) -> None:
        action = AuditAction.AUDIT_ACTION_SIGN_IN
        try:
            entry_id = await self._recorder.begin(_SIGN_IN_METHOD, action, user.user_id, None)
            await self._recorder.end(entry_id, grpc.StatusCode.OK.name, "")
        except Exception as error:
            logs.get_logger().warning(SIGN_IN_NOT_RECORDED, **logs.failure(error))
            raise DependencyUnavailableError("audit") from None

    async def _calling_person(self) -> User:
        caller = current_caller()
        if caller.kind is not CallerKind.PERSON:
            raise UserNotFoundError(caller.subject)
        user = await self._store.user(caller.subject)
        if not user.enabled:
            raise UserNotFoundError(user.user_id)
        return user


def _check_client_name(name: str) -> None:
    if not is_name(name):
        raise InvalidFieldError("client_name", _NAME_RULE)
    # Or the audit trail could not tell a client from a service or a person.
    if name in SERVICE_PERMISSIONS or is_id(name):
        raise InvalidFieldError("client_name", "not the name of a service, not an id")


def _check_permissions(permissions: frozenset[Permission.ValueType], caller: Caller) -> None:
    if not permissions:
        raise InvalidFieldError("permissions", "at least one")
    for permission in sorted(permissions):
        if not permission or permission not in Permission.values():
            raise InvalidFieldError("permissions", "none unspecified or unknown")
        if permission not in caller.permissions:
            raise PermissionDeniedError(scope_name(permission))


def _lifetime(seconds: int) -> timedelta:
    seconds = seconds or _DEFAULT_LIFETIME_S
    if not _MIN_LIFETIME_S <= seconds <= _MAX_LIFETIME_S:
        raise InvalidFieldError("lifetime_seconds", f"{_MIN_LIFETIME_S} to {_MAX_LIFETIME_S}")
    return timedelta(seconds=seconds)

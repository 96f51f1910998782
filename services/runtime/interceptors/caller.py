"""Lets a call pass when its token permits it, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.runtime import logs
from services.runtime.audit import AuditTrail, CallRecorder
from services.runtime.errors import PermissionDeniedError, ServiceError, UnauthenticatedError
from services.runtime.interceptors.around import AroundInterceptor, IncomingCall
from services.runtime.metrics import DENIALS
from services.runtime.permissions import (
    OPEN_METHODS,
    Requirement,
    UndeclaredMethodError,
    requirement,
)
from services.runtime.session_cookie import MalformedCookieError, token_in
from services.runtime.tokens import Caller, Verifier, set_current_caller

DENIAL_NOT_RECORDED: Final = "audit.denial_not_recorded"
_BEARER: Final = "bearer "
_UNDECLARED: Final = "undeclared"


class CallerInterceptor(AroundInterceptor):
    """Authenticates the caller and checks the permission that the contract names.

    The token comes as a bearer, or from a browser in its session cookie; a bearer is never looked
    past. A foreign page cannot use the cookie: it is SameSite=Strict, and gRPC's content types need
    a preflight, which Envoy refuses.

    A denied call is recorded in the audit trail; it stays denied when the trail cannot be written.
    """

    def __init__(self, verifier: Verifier, trail: AuditTrail, service_name: str) -> None:
        self._verifier = verifier
        self._recorder = CallRecorder(trail, service_name)

    @asynccontextmanager
    async def around(self, call: IncomingCall) -> AsyncIterator[None]:
        """See the class."""
        if call.method not in OPEN_METHODS:
            caller: Caller | None = None
            try:
                caller = self._authenticate(call)
                _check(call.method, caller)
            except (UnauthenticatedError, PermissionDeniedError) as error:
                DENIALS.labels(error.code.name.lower()).inc()
                await self._record_denial(call, caller, error)
                raise
            set_current_caller(caller)
            structlog.contextvars.bind_contextvars(subject=caller.subject)
        yield

    def _authenticate(self, call: IncomingCall) -> Caller:
        header = call.metadata("authorization")
        if header is None:
            return self._verifier.verify(_token_in_cookie(call))
        if not header.lower().startswith(_BEARER):
            raise UnauthenticatedError
        return self._verifier.verify(header[len(_BEARER) :].strip())

    async def _record_denial(
        self, call: IncomingCall, caller: Caller | None, error: ServiceError
    ) -> None:
        try:
            subject = caller.subject if caller else ""
            action = _action(call.method)
            await self._recorder.deny(call.method, action, subject, call.request, error)
        except Exception as failure:
            logs.get_logger().error(
                DENIAL_NOT_RECORDED, method=call.method, **logs.failure(failure)
            )


def _token_in_cookie(call: IncomingCall) -> str:
    metadata = call.context.invocation_metadata() or ()
    cookies = (value for name, value in metadata if name == "cookie" and isinstance(value, str))
    try:
        token = token_in(cookies)
    except MalformedCookieError:
        raise UnauthenticatedError from None
    if token is None:
        raise UnauthenticatedError
    return token


def _check(method: str, caller: Caller) -> None:
    needed = _requirement(method)
    if needed is None:
        raise PermissionDeniedError(_UNDECLARED)
    if needed.permission not in caller.permissions:
        raise PermissionDeniedError(needed.scope)


def _action(method: str) -> AuditAction.ValueType:
    needed = _requirement(method)
    return needed.audit_action if needed else AuditAction.AUDIT_ACTION_UNSPECIFIED


def _requirement(method: str) -> Requirement | None:
    try:
        return requirement(method)
    except UndeclaredMethodError:
        return None

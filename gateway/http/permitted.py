"""Who makes an HTTP request, and whether they may; the same tokens as for gRPC calls."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import hdrs, web

from gateway.http.problem import Problem
from gateway.http.same_origin import require_same_origin
from gateway.http.sign_in import no_session
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime import logs
from services.runtime.audit import AuditEntry, AuditOutcome, AuditTrail
from services.runtime.client import ServiceCallError
from services.runtime.correlation import correlation_id
from services.runtime.errors import DependencyUnavailableError, ServiceError, UnauthenticatedError
from services.runtime.ids import new_id
from services.runtime.metrics import DENIALS
from services.runtime.permissions import scope_name
from services.runtime.session_cookie import MalformedCookieError, token_in
from services.runtime.tokens import Caller, Verifier

DENIAL_NOT_RECORDED: Final = "audit.denial_not_recorded"
_BEARER: Final = "bearer "
_SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


class HttpCallers:
    """Checks the token of requests and records what they do.

    The token comes as a bearer, or from a browser in its session cookie; a bearer is never looked
    past. With the cookie, only our own page may change something.

    Args:
        verifier: Checks tokens.
        trail: Where requests are recorded.
        service: Our name in the trail.
    """

    def __init__(self, verifier: Verifier, trail: AuditTrail, service: str = "gateway") -> None:
        self._verifier = verifier
        self._trail = trail
        self._service = service

    async def require(
        self,
        request: web.Request,
        permission: Permission.ValueType,
        method: str,
        action: AuditAction.ValueType,
    ) -> Caller:
        """Return who makes a request.

        Args:
            request: The request.
            permission: What it needs.
            method: Our name of what it asks, as "/gateway.upload/Create", for the trail.
            action: What it does, for the trail.

        Raises:
            Problem: Nobody we know, not permitted, or a foreign page.
        """
        caller: Caller | None = None
        try:
            caller = self._caller(request)
            if permission not in caller.permissions:
                raise _not_permitted(permission)
        except Problem as problem:
            DENIALS.labels(problem.name).inc()
            await self._record_denial(method, action, caller, problem)
            raise
        structlog.contextvars.bind_contextvars(subject=caller.subject)
        return caller

    async def record(
        self,
        caller: Caller,
        method: str,
        action: AuditAction.ValueType,
        object_id: str = "",
    ) -> str:
        """Record that a caller does something; durable on return.

        Args:
            caller: Who.
            method: Our name of it, as "/gateway.upload/Create".
            action: What it does.
            object_id: Our id of what it is about.

        Returns:
            Id of the entry, for `ended`.

        Raises:
            Problem: It cannot be recorded now, so it may not be done.
        """
        entry = self._entry(method, action, caller, object_id)
        try:
            await self._trail.begin(entry)
        except (ServiceCallError, ServiceError) as error:
            logs.get_logger().error("audit.not_recorded", **logs.failure(error))
            raise unavailable() from None
        return entry.entry_id

    async def ended(self, entry_id: str, code: str = "OK") -> None:
        """Record how it ended, where that can be recorded now."""
        try:
            await self._trail.end(entry_id, AuditOutcome(datetime.now(UTC), code, ""))
        except (ServiceCallError, ServiceError) as error:
            logs.get_logger().error("audit.not_recorded", **logs.failure(error))

    def _caller(self, request: web.Request) -> Caller:
        header = request.headers.get(hdrs.AUTHORIZATION)
        if header is None and request.method not in _SAFE:
            require_same_origin(request)
        try:
            return self._verifier.verify(_token(request, header))
        except (UnauthenticatedError, MalformedCookieError):
            raise no_session() from None
        except DependencyUnavailableError:
            raise unavailable() from None

    async def _record_denial(
        self, method: str, action: AuditAction.ValueType, caller: Caller | None, problem: Problem
    ) -> None:
        denied = problem.status is HTTPStatus.FORBIDDEN
        code = "PERMISSION_DENIED" if denied else "UNAUTHENTICATED"
        outcome = AuditOutcome(datetime.now(UTC), code, f"ERROR_REASON_{code}")
        try:
            await self._trail.deny(self._entry(method, action, caller, ""), outcome)
        except (ServiceCallError, ServiceError) as error:
            logs.get_logger().error(DENIAL_NOT_RECORDED, **logs.failure(error))

    def _entry(
        self, method: str, action: AuditAction.ValueType, caller: Caller | None, object_id: str
    ) -> AuditEntry:
        return AuditEntry(
            entry_id=new_id(),
            begin_time=datetime.now(UTC),
            subject=caller.subject if caller is not None else "",
            method=method,
            action=action,
            service=self._service,
            correlation_id=correlation_id(),
            object_id=object_id,
        )


def peer_address(request: web.Request) -> str:
    """Return the address a request came from, without port, as Envoy saw it."""
    forwarded = request.headers.get("X-Forwarded-For", "")
    return forwarded.rpartition(",")[2].strip() or request.remote or ""


def unavailable() -> Problem:
    """Return the problem that something the request needs is away."""
    text = "This is not possible at the moment. Try again soon."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", text, {"Retry-After": "2"})


def _token(request: web.Request, header: str | None) -> str:
    if header is not None:
        if not header.lower().startswith(_BEARER):
            raise UnauthenticatedError
        return header[len(_BEARER) :].strip()
    token = token_in(request.headers.getall(hdrs.COOKIE, []))
    if token is None:
        raise UnauthenticatedError
    return token


def _not_permitted(permission: Permission.ValueType) -> Problem:
    text = f"This needs the permission {scope_name(permission)}."
    return Problem(HTTPStatus.FORBIDDEN, "not-permitted", text)

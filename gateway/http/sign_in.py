"""The access service as the session needs it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import grpc

from gateway.http.problem import Problem, bad_request
from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1.access_service_pb2_grpc import AccessServiceStub
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import ServiceError

NO_SESSION: Final = "no-session"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.-]{1,4096}")
_TIMEOUT_S: Final = 15.0
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.NOT_FOUND,
    }
)

Refusal = Callable[[], Problem]


class SignIn:
    """Exchanges what a person has for a token.

    Args:
        own: Channel that calls as the gateway.
        plain: Channel that sends no token by itself.
    """

    def __init__(self, own: grpc.aio.Channel, plain: grpc.aio.Channel) -> None:
        self._own = AccessServiceStub(own)
        self._plain = AccessServiceStub(plain)

    async def by_link(self, sign_in_token: str) -> pb.IssuedToken:
        """Return the token for a one-time sign-in token.

        Raises:
            Problem: It is no such token, was used before, or has expired.
        """
        request, metadata = pb.SignInRequest(), _bearer(sign_in_token, link_refused)

        async def call() -> pb.IssuedToken:
            return (await self._plain.SignIn(request, metadata=metadata, timeout=_TIMEOUT_S)).token

        return await _answer(call, link_refused)

    async def by_password(self, name: str, password: str) -> pb.IssuedToken:
        """Return the token for a name and a password.

        Raises:
            Problem: They do not fit, or failed too often of late.
        """
        request = pb.SignInWithPasswordRequest(name=name, password=password)

        async def call() -> pb.IssuedToken:
            return (await self._own.SignInWithPassword(request, timeout=_TIMEOUT_S)).token

        return await _answer(call, _password_refused)

    async def renew(self, token: str) -> pb.IssuedToken:
        """Return a fresh token for one that is still valid.

        Raises:
            Problem: It is not, or the person may no longer sign in.
        """
        request, metadata = pb.RenewTokenRequest(), _bearer(token, no_session)

        async def call() -> pb.IssuedToken:
            return (
                await self._plain.RenewToken(request, metadata=metadata, timeout=_TIMEOUT_S)
            ).token

        return await _answer(call, no_session)


def no_session() -> Problem:
    """Return the problem that no valid session is there."""
    text = "Nobody is signed in, or the session has ended."
    return Problem(HTTPStatus.UNAUTHORIZED, NO_SESSION, text)


def link_refused() -> Problem:
    """Return the problem that a one-time link does not sign in."""
    text = "The link was used before or is too old. Ask an administrator for another one."
    return Problem(HTTPStatus.UNAUTHORIZED, "link-refused", text)


def _password_refused() -> Problem:
    text = "Name and password do not fit."
    return Problem(HTTPStatus.UNAUTHORIZED, "sign-in-refused", text)


def _away() -> Problem:
    text = "Signing in is not possible at the moment. Try again soon."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", text, {"Retry-After": "2"})


async def _answer(
    call: Callable[[], Awaitable[pb.IssuedToken]], refusal: Refusal
) -> pb.IssuedToken:
    try:
        with typed_errors():
            return await call()
    except ServiceCallError as error:
        raise _problem(error, refusal) from None
    except ServiceError:
        raise _away() from None


def _problem(error: ServiceCallError, refusal: Refusal) -> Problem:
    if error.code in _REFUSALS:
        return refusal()
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _too_many()
    if error.code is grpc.StatusCode.INVALID_ARGUMENT:
        return bad_request("A value is longer or shorter than it may be.")
    return _away()


def _too_many() -> Problem:
    text = "Too many attempts failed. Wait a little before the next one."
    status = HTTPStatus.TOO_MANY_REQUESTS
    return Problem(status, "too-many-attempts", text, {"Retry-After": "60"})


def _bearer(token: str, refusal: Refusal) -> tuple[tuple[str, str], ...]:
    if not _TOKEN.fullmatch(token):
        raise refusal()
    return (("authorization", f"Bearer {token}"),)

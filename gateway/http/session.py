"""``/session``: a person signs in, stays signed in, signs out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from gateway.http import cookie
from gateway.http.problem import Problem, bad_request
from gateway.http.same_origin import require_same_origin
from gateway.http.sign_in import NO_SESSION, SignIn, no_session
from heimdallr.access.v1 import access_service_pb2 as pb

MAX_BODY_BYTES: Final = 16 << 10
_BODY_TIMEOUT_S: Final = 10.0
_WAYS: Final = (frozenset({"sign_in_token"}), frozenset({"name", "password"}))


@dataclass(frozen=True, slots=True)
class Session:
    """Answers what is asked under ``/session``."""

    sign_in: SignIn

    def routes(self) -> list[web.RouteDef]:
        """Return which method of which address goes where."""
        return [
            web.post("/session", self.begin),
            web.delete("/session", self.end),
            web.post("/session/renewal", self.renew),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        """Sign a person in by their one-time link, or by name and password."""
        require_same_origin(request)
        given = await _credentials(request)
        if "sign_in_token" in given:
            issued = await self.sign_in.by_link(given["sign_in_token"])
        else:
            issued = await self.sign_in.by_password(given["name"], given["password"])
        return _with_cookie(request, issued)

    async def renew(self, request: web.Request) -> web.Response:
        """Give a fresh token for the one in the cookie."""
        require_same_origin(request)
        token = cookie.token(request)
        if token is None:
            raise no_session()
        try:
            return _with_cookie(request, await self.sign_in.renew(token))
        except Problem as problem:
            response = problem.response()
            if problem.name == NO_SESSION:
                cookie.clear(request, response)
            return response

    async def end(self, request: web.Request) -> web.Response:
        """Take the token from the browser."""
        require_same_origin(request)
        response = _empty()
        cookie.clear(request, response)
        return response


def _with_cookie(request: web.Request, issued: pb.IssuedToken) -> web.Response:
    response = _empty()
    cookie.put(request, response, issued)
    return response


def _empty() -> web.Response:
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})


async def _credentials(request: web.Request) -> dict[str, str]:
    # Forms of foreign pages cannot send this type without a preflight, which Envoy refuses.
    if request.content_type != "application/json":
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        raise Problem(status, "not-json", "The body has to be application/json.")
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            values = json.loads(await request.read())
    except TimeoutError:
        status = HTTPStatus.REQUEST_TIMEOUT
        raise Problem(status, "too-slow", "The body did not come in time.") from None
    except (ValueError, RecursionError):
        raise bad_request("The body is not JSON.") from None
    if not isinstance(values, dict) or values.keys() not in _WAYS:
        raise bad_request("The body names sign_in_token, or name and password.")
    if not all(isinstance(value, str) and value.isprintable() for value in values.values()):
        raise bad_request("Each value is a text without control characters.")
    return values

"""The cookie that holds a person's token, out of reach of scripts."""

from __future__ import annotations

import time

from aiohttp import web

from heimdallr.access.v1 import access_service_pb2 as pb
from services.runtime.session_cookie import NAME


def put(request: web.Request, response: web.Response, issued: pb.IssuedToken) -> None:
    """Give the browser a token until the token ends."""
    max_age = max(0, issued.expire_time.seconds - int(time.time()))
    response.set_cookie(
        NAME,
        issued.token,
        max_age=max_age,
        path="/",
        secure=_came_by_tls(request),
        httponly=True,
        samesite="Strict",
    )


def clear(request: web.Request, response: web.Response) -> None:
    """Take the token from the browser."""
    response.del_cookie(
        NAME, path="/", secure=_came_by_tls(request), httponly=True, samesite="Strict"
    )


def token(request: web.Request) -> str | None:
    """Return the token that the browser sent."""
    return request.cookies.get(NAME)


def _came_by_tls(request: web.Request) -> bool:
    # Envoy writes it over whatever the browser said.
    return request.headers.get("X-Forwarded-Proto", "").lower() == "https"

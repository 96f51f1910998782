"""What surrounds every request: correlation id, errors, headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import structlog
from aiohttp import web

from gateway.http.problem import Problem, bad_request, not_found
from services.runtime import logs
from services.runtime.correlation import accept, set_correlation_id

UNEXPECTED_ERROR: Final = "http.unexpected_error"
CORRELATION_HEADER: Final = "X-Correlation-ID"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "worker-src 'self' blob:",
        "frame-src blob:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with what the handler returns, or with a problem."""
    correlation_id = accept(request.headers.get(CORRELATION_HEADER))
    set_correlation_id(correlation_id)
    structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
    try:
        response = await handler(request)
    except Problem as problem:
        response = problem.response()
    except web.HTTPException as error:
        response = _problem_of(error).response()
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        logs.get_logger().error(UNEXPECTED_ERROR, **logs.failure(error))
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        response = Problem(status, "internal", "Something failed on our side.").response()
    return response


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put on each answer, files included, what it must carry before its head is sent."""
    for name, value in SECURITY_HEADERS.items():
        # Another site than the page, the viewer, has a policy of its own.
        response.headers.setdefault(name, value)
    correlation_id = structlog.contextvars.get_contextvars().get("correlation_id", "")
    response.headers[CORRELATION_HEADER] = correlation_id


def _problem_of(error: web.HTTPException) -> Problem:
    if error.status == HTTPStatus.NOT_FOUND:
        return not_found()
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = {"Allow": error.headers.get("Allow", "")}
        status = HTTPStatus.METHOD_NOT_ALLOWED
        return Problem(status, "method-not-allowed", "The address knows other methods.", allowed)
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return Problem(status, "too-large", "The body is longer than this address takes.")
    return bad_request("The request is not well formed.")

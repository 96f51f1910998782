"""Errors as browsers get them: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from aiohttp import web

from services.runtime.correlation import correlation_id

_TYPE: Final = "urn:heimdallr:problem:"


class Problem(Exception):  # noqa: N818 -- the name that RFC 9457 gives it
    """What went wrong with a request.

    Args:
        status: Status of the answer.
        name: Stable name, the end of the ``type``, e.g. "sign-in-refused".
        detail: One sentence for a person; never repeats what the request said.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        name: str,
        detail: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(name)
        self.status = status
        self.name = name
        self.detail = detail
        self.headers = headers

    def response(self) -> web.Response:
        """Return the problem as an answer."""
        body = {
            "type": f"{_TYPE}{self.name}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "correlation_id": correlation_id(),
        }
        return web.Response(
            status=self.status.value,
            body=json.dumps(body).encode(),
            content_type="application/problem+json",
            headers={**self.headers, "Cache-Control": "no-store"},
        )


def not_found() -> Problem:
    """Return the problem that nothing lies at the address."""
    return Problem(HTTPStatus.NOT_FOUND, "not-found", "Nothing lies at this address.")


def bad_request(detail: str) -> Problem:
    """Return the problem that a request is not as it has to be."""
    return Problem(HTTPStatus.BAD_REQUEST, "bad-request", detail)

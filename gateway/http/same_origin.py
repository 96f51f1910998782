"""Whether a request comes from our own page; a foreign one may not sign anybody in or out."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from gateway.http.problem import Problem

_OWN_SITES: Final = frozenset({"same-origin", "none"})


def require_same_origin(request: web.Request) -> None:
    """Let a request pass that no foreign page has made.

    Programs name no origin. Browsers name one with every request that changes something, and tell
    with ``Sec-Fetch-Site`` how the page relates to us; no page can forge either.

    Raises:
        Problem: The origin is another one.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    own = origin is None or urlsplit(origin).netloc.lower() == request.host.lower()
    if not own or (site is not None and site not in _OWN_SITES):
        detail = "Only the page itself may do this."
        raise Problem(HTTPStatus.FORBIDDEN, "foreign-origin", detail)

"""The site that Envoy's second listener leads to: OHIF's files, for who is signed in."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.http import cookie
from gateway.http.page import Page
from gateway.ohif.settings import OhifSettings
from services.runtime.errors import ServiceError
from services.runtime.tokens import Verifier

SITE_HEADER: Final = "X-Heimdallr-Site"
"""Set by Envoy, and taken from whatever comes from outside."""
SITE: Final = "ohif"
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_SIGN_IN: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in</title></head>
<body><h1>Nobody is signed in</h1>
<p>Sign in at <a href="{url}">Heimdallr</a>, then load this page again.</p>
</body></html>
"""


class OhifSite:
    """Serves OHIF.

    Args:
        settings: Where it is.
        verifier: Checks sessions.
    """

    def __init__(self, settings: OhifSettings, verifier: Verifier) -> None:
        self._page = Page(settings.folder)
        self._page_port = settings.page_port
        self._verifier = verifier
        self._policy = content_security_policy(settings.folder / "index.html")
        # Decoders build functions by name; only in a worker, whose policy is that of its script.
        self._worker_policy = self._policy.replace("'wasm-unsafe-eval'", "'unsafe-eval'")

    @staticmethod
    def is_asked(request: web.Request) -> bool:
        """Whether a request came through the viewer's listener."""
        return request.headers.get(SITE_HEADER) == SITE

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer with a file, or with the viewer for a path that only it knows."""
        if _is_page(request.path) and not await asyncio.to_thread(self._is_signed_in, request):
            return self._sign_in(request)
        response = await self._page.serve(request)
        is_script = request.path.endswith(".js")
        policy = self._worker_policy if is_script else self._policy
        response.headers["Content-Security-Policy"] = policy
        # Shared memory between the viewer's workers needs a page that nobody else shares.
        response.headers["Cross-Origin-Embedder-Policy"] = "require-corp"
        return response

    def _is_signed_in(self, request: web.Request) -> bool:
        token = cookie.token(request)
        if token is None:
            return False
        try:
            self._verifier.verify(token)
        except ServiceError:
            return False
        return True

    def _sign_in(self, request: web.Request) -> web.Response:
        host = request.host.rpartition(":")[0] or request.host
        scheme = "https" if request.headers.get("X-Forwarded-Proto") == "https" else "http"
        port = f":{self._page_port}" if self._page_port is not None else ""
        url = f"{scheme}://{host}{port}/" if _HOST.fullmatch(host) else "/"
        text = _SIGN_IN.format(url=html.escape(url))
        headers = {"Cache-Control": "no-store"}
        return web.Response(status=401, text=text, content_type="text/html", headers=headers)


def content_security_policy(index: Path) -> str:
    """Return what the viewer may do: its own scripts, those in its entry by their hash alone.

    Args:
        index: The viewer's entry; none of its scripts are let in where it is absent.
    """
    entry = index.read_bytes() if index.is_file() else b""
    inline = [base64.b64encode(hashlib.sha256(s).digest()).decode() for s in _INLINE.findall(entry)]
    return "; ".join(
        (
            "default-src 'none'",
            # Decoders of compressed pixels are WebAssembly.
            "script-src 'self' 'wasm-unsafe-eval' " + " ".join(f"'sha256-{h}'" for h in inline),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' blob: data:",
            "font-src 'self' data:",
            "connect-src 'self' blob: data:",
            "worker-src 'self' blob:",
            "media-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _is_page(path: str) -> bool:
    return "." not in path.rpartition("/")[2] or path.endswith("/index.html")

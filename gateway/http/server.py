"""The HTTP side put together from its parts."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc
from aiohttp import web

from gateway.http.around import add_headers, around
from gateway.http.page import Page
from gateway.http.session import MAX_BODY_BYTES, Session
from gateway.http.sign_in import SignIn
from gateway.ohif.site import OhifSite

_UNIX: Final = "unix:"
_BACKLOG: Final = 512
_STOP_GRACE_S: Final = 3.0
_KEEPALIVE_S: Final = 75.0


class HttpServer:
    """Serves browsers, behind Envoy.

    Args:
        address: Where to listen, "unix:/path" (mode 0600) or "host:port".
        page_folder: The built page.
        own: Channel that calls as the gateway.
        plain: Channel that sends no token by itself.
        routes: What else is served, before the page.
        viewer: The viewer's site, where it is served.
    """

    def __init__(
        self,
        address: str,
        page_folder: Path,
        own: grpc.aio.Channel,
        plain: grpc.aio.Channel,
        routes: Iterable[web.AbstractRouteDef] = (),
        viewer: OhifSite | None = None,
    ) -> None:
        self._address = address
        self._channels = own, plain
        self._runner = web.AppRunner(
            _application(Session(SignIn(own, plain)), Page(page_folder), routes, viewer),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_KEEPALIVE_S,
            shutdown_timeout=_STOP_GRACE_S,
            # Nothing a stranger sends is inflated behind our back.
            auto_decompress=False,
        )

    async def start(self) -> str:
        """Listen and return the address to connect to."""
        listening = _listening_socket(self._address)
        await self._runner.setup()
        await web.SockSite(self._runner, listening, backlog=_BACKLOG).start()
        if self._address.startswith(_UNIX):
            return self._address
        host, port = listening.getsockname()[:2]
        return f"{host}:{port}"

    async def run(self) -> None:
        """Serve until cancelled; then let requests end."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._runner.cleanup()
            for channel in self._channels:
                await channel.close()


def _application(
    session: Session,
    page: Page,
    routes: Iterable[web.AbstractRouteDef],
    viewer: OhifSite | None,
) -> web.Application:
    app = web.Application(middlewares=[around], client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(add_headers)
    app.add_routes([web.get("/health", _health), *session.routes(), *routes])

    async def serve(request: web.Request) -> web.StreamResponse:
        if viewer is not None and viewer.is_asked(request):
            return await viewer.serve(request)
        return await page.serve(request)

    app.router.add_get("/{path:.*}", serve)
    return app


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


def _listening_socket(address: str) -> socket.socket:
    if not address.startswith(_UNIX):
        host, _, port = address.rpartition(":")
        return socket.create_server((host, int(port)))
    path = Path(address.removeprefix(_UNIX))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mask, not a later chmod: between bind and chmod anybody could connect.
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    return listening

"""A DICOMweb server that answers what a test wants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from gateway.peers.peer import Credentials, Peer, WebAddress

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[str]:
    """Serve every request by one handler and yield the base URL."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, **options).start()
    try:
        port = runner.addresses[0][1]
        yield f"{'https' if options.get('ssl_context') else 'http'}://127.0.0.1:{port}/dicom-web"
    finally:
        await runner.cleanup()


def web_peer(url: str, credentials: Credentials | None = None, ca_pem: str = "") -> Peer:
    where = WebAddress(url, ca_pem)
    return Peer("id", "peer", inside=True, web=where, credentials=credentials or Credentials())


def answer(rows: Any, status: int = 200) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        return web.Response(body=body, status=status, content_type="application/dicom+json")

    return handler

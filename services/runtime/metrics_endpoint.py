"""Where Prometheus fetches what this process counts: GET /metrics on an address of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.runtime import logs
from services.runtime.listening import listening_socket
from services.runtime.metrics import (
    DISK_FREE_BYTES,
    DISK_LOW_BYTES,
    DISK_WATERMARK_BYTES,
    GATHERINGS,
    REGISTRY,
)

NOT_GATHERED: Final = "metrics.not_gathered"
_GATHER_TIMEOUT_S: Final = 2.0
_HEADERS: Final = {"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}

Gather = Callable[[], Awaitable[None]]
"""Looks figures up when somebody asks for them, and sets their gauges."""


@asynccontextmanager
async def exposed(address: str | None, gathers: Sequence[Gather] = ()) -> AsyncIterator[str | None]:
    """Answer GET /metrics meanwhile.

    Args:
        address: "unix:/path" (mode 0600) or "host:port"; None exposes nothing.
        gathers: Asked before each answer; one that fails leaves its figures out.

    Yields:
        The address to connect to, with the real port where port 0 was asked for.

    Raises:
        AddressInUseError: The address is taken.
    """
    if address is None:
        yield None
        return
    runner = web.AppRunner(
        _application(gathers), access_log=None, handle_signals=False, shutdown_timeout=1.0
    )
    listening, real_address = listening_socket(address)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield real_address
    finally:
        await runner.cleanup()


def disk_gathers(blobs: str, watermark_bytes: int, low_bytes: int = 0) -> tuple[Gather, ...]:
    """Return what looks up the room on the disk of a blob store; nothing for one elsewhere.

    Args:
        blobs: URL of the blob store.
        watermark_bytes: Room that stays free.
        low_bytes: Room below which people are warned.
    """
    parts = urlsplit(blobs)
    if parts.scheme != "file":
        return ()
    folder = Path(unquote(parts.path))

    async def gather() -> None:
        status = await asyncio.to_thread(os.statvfs, folder)
        DISK_FREE_BYTES.set(status.f_bavail * status.f_frsize)
        DISK_WATERMARK_BYTES.set(watermark_bytes)
        DISK_LOW_BYTES.set(low_bytes)

    return (gather,)


def _application(gathers: Sequence[Gather]) -> web.Application:
    async def answer(_request: web.Request) -> web.Response:
        await asyncio.gather(*(_gathered(gather) for gather in gathers))
        return web.Response(body=generate_latest(REGISTRY), headers=_HEADERS)

    app = web.Application(client_max_size=1024)
    app.router.add_get("/metrics", answer)
    return app


async def _gathered(gather: Gather) -> None:
    try:
        async with asyncio.timeout(_GATHER_TIMEOUT_S):
            await gather()
    except Exception as error:
        # Part of the figures is worth more than none, above all when something is broken.
        logs.get_logger().warning(NOT_GATHERED, **logs.failure(error))
        GATHERINGS.labels("failed").inc()
    else:
        GATHERINGS.labels("found").inc()

"""Multipart answers, written part by part."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web

from gateway.dicomweb.forms import related

_SMALL: Final = 4 << 20
NO_STORE: Final = "no-store"


def part_head(boundary: str, content_type: str, location: str = "") -> bytes:
    """Return what stands before the content of a part."""
    where = f"Content-Location: {location}\r\n" if location else ""
    return f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n{where}\r\n".encode("latin-1")


def closing(boundary: str) -> bytes:
    """Return what ends a body."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")


def new_boundary() -> str:
    """Return a boundary that stands nowhere in what is sent."""
    return uuid.uuid4().hex


def whole(
    media_type: str, parts: Sequence[tuple[str, bytes]], headers: dict[str, str]
) -> web.Response:
    """Return a multipart answer whose parts are in memory.

    Args:
        media_type: Of the parts.
        parts: Content type and content of each.
        headers: Further headers.
    """
    boundary = new_boundary()
    pieces = [piece for kind, data in parts for piece in (part_head(boundary, kind), data)]
    body = b"".join((*pieces, closing(boundary)))
    headers = {"Content-Type": related(media_type, boundary), **headers}
    return web.Response(body=body, headers=headers)


async def streamed(
    request: web.Request,
    media_type: str,
    parts: AsyncIterator[tuple[str, AsyncIterator[bytes]]],
    headers: dict[str, str],
) -> web.StreamResponse:
    """Send a multipart answer as its parts come.

    What fails before the first byte is an error like any; after it the connection is cut, so that
    nobody takes half an answer for a whole one.

    Args:
        request: The request.
        media_type: Of the parts.
        parts: Content type and content of each.
        headers: Further headers.
    """
    boundary = new_boundary()
    headers = {"Content-Type": related(media_type, boundary), **headers}
    response = web.StreamResponse(headers=headers)
    try:
        async for kind, content in parts:
            head: bytes | None = part_head(boundary, kind)
            async for piece in content:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(head + piece if head else piece)
                head = None
        if not response.prepared:
            await response.prepare(request)
        await response.write(closing(boundary))
        await response.write_eof()
    except BaseException:
        if response.prepared and request.transport is not None:
            request.transport.abort()
            return response
        raise
    return response


async def plain(
    request: web.Request, content_type: str, content: AsyncIterator[bytes], headers: dict[str, str]
) -> web.StreamResponse:
    """Send one content as it comes; failures are those of ``streamed``."""
    response = web.StreamResponse(headers={"Content-Type": content_type, **headers})
    try:
        async for piece in content:
            if not response.prepared:
                await response.prepare(request)
            await response.write(piece)
        await response.write_eof()
    except BaseException:
        if response.prepared and request.transport is not None:
            request.transport.abort()
            return response
        raise
    return response


def etag(*named: str) -> str:
    """Return the entity tag of what follows from some names."""
    return '"' + "-".join(named) + '"'


def not_modified(request: web.Request, tag: str) -> web.Response | None:
    """Return the answer that the client has it already; None if it does not (RFC 9110 13.1.2)."""
    given = request.headers.get("If-None-Match", "")
    held = {part.strip().removeprefix("W/") for part in given.split(",")}
    if tag in held or "*" in held:
        return web.Response(status=304, headers={"ETag": tag})
    return None

"""A server that says it is an Orthanc, and is not."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.peers.errors import PeerUnreachableError
from gateway.peers.peer import Credentials, Peer, WebAddress
from gateway.sources.orthanc_client import orthanc
from gateway.sources.settings import SourceSettings
from gateway.sources.work import SourceError

SETTINGS = SourceSettings(timeout_s=1, max_answer_bytes=1 << 16)
STUDY = "6b9e19d9-62094390-5f9ddb01-4a191ae7-9766b715"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[Peer]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Give a function that serves every address by one handler, as a registered peer."""
    servers: list[TestServer] = []

    async def start(handler: Handler) -> Peer:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        url = f"http://127.0.0.1:{server.port}/orthanc/dicom-web"
        credentials = Credentials("heimdallr", "correct horse")
        return Peer("x", "orthanc", True, web=WebAddress(url), credentials=credentials)

    yield start
    for server in servers:
        await server.close()


async def test_credentials_are_shown_and_a_refusal_is_told(serve: Serve) -> None:
    shown = []

    async def handler(request: web.Request) -> web.Response:
        shown.append(request.headers["Authorization"])
        return web.Response(status=401)

    async with orthanc(await serve(handler), "/orthanc/", SETTINGS) as client:
        with pytest.raises(SourceError, match="credentials"):
            await client.version()

    assert shown == ["Basic " + base64.b64encode(b"heimdallr:correct horse").decode()]


async def test_nobody_sends_our_credentials_elsewhere(serve: Serve) -> None:
    asked = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"Version": "1"})

    other = await serve(elsewhere)
    assert other.web is not None
    target = other.web.url

    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound(target)

    async with orthanc(await serve(handler), "", SETTINGS) as client:
        with pytest.raises(SourceError, match="302"):
            await client.version()

    assert asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b"[" * 50_000,
        b'{"Version": ["a"]}',
        b'{"Version": "<script>"}',
        b" " * (1 << 17),
    ],
)
async def test_what_is_no_answer_of_an_orthanc_is_told(serve: Serve, body: bytes) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body)

    async with orthanc(await serve(handler), "", SETTINGS) as client:
        with pytest.raises(SourceError):
            await client.version()
        with pytest.raises(SourceError):
            await client.changes(0, 10)
        with pytest.raises(SourceError):
            await client.study(STUDY)


async def test_an_answer_that_stops_is_given_up(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return answer

    async with orthanc(await serve(handler), "", SETTINGS) as client:
        with pytest.raises(SourceError, match="broke off"):
            await client.version()
        with pytest.raises(SourceError, match="broke off"):
            async for _ in client.file(STUDY):
                pass


async def test_no_address_of_a_cloud_is_asked() -> None:
    peer = Peer("x", "cloud", True, web=WebAddress("http://169.254.169.254/"))

    with pytest.raises(PeerUnreachableError):
        async with orthanc(peer, "", SETTINGS):
            pass

"""DICOMweb servers that redirect, lie, send without end, or never answer."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from gateway.dicomweb_client.client import DicomWebClient
from gateway.dicomweb_client.search import Search, SearchLevel
from gateway.peers.errors import PeerRefusedError, PeerUnreachableError
from gateway.peers.peer import Credentials
from gateway.scu.find import Truncated
from gateway.scu.identifier import Key
from tests.gateway.peers.conftest import collected
from tests.gateway.peers.hostile_server import answer, serving, web_peer
from tests.support.peer_certificates import Authority

STUDIES = Search(SearchLevel.STUDIES)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/studies",
        "//evil.example/studies",
        "https://evil.example/",
        "file:///etc/passwd",
        "http://[",
    ],
)
async def test_a_redirect_to_another_server_is_not_followed(
    web_client: DicomWebClient, location: str
) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    async with serving(handler) as url:
        with pytest.raises(PeerRefusedError) as caught:
            await collected(web_client.search(web_peer(url), STUDIES))

    assert caught.value.metadata["status"] == "302"


async def test_a_redirect_within_the_server_is_followed_a_few_times(
    web_client: DicomWebClient,
) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.path)
        if request.path.endswith("/there"):
            return web.json_response([{"0020000D": {"vr": "UI", "Value": ["1.2"]}}])
        return web.Response(status=307, headers={"Location": "/there"})

    async def around(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": request.path})

    async with serving(handler) as url:
        found = await collected(web_client.search(web_peer(url), STUDIES))
    async with serving(around) as url:
        with pytest.raises(PeerRefusedError):
            await collected(web_client.search(web_peer(url), STUDIES))

    assert len(found) == 1
    assert len(seen) == 2 + 4


@pytest.mark.parametrize(
    "body",
    [b"{", b"null", b'"text"', b"[1]", b"<html>", b"[" * 100_000, b'[{"a":' * 50_000],
    ids=["half", "null", "text", "numbers", "html", "deep", "nested"],
)
async def test_what_is_no_dicom_json_is_refused(web_client: DicomWebClient, body: bytes) -> None:
    limits = web_client.settings.model_copy(update={"max_answer_bytes": 1 << 20})
    patient = replace(web_client, settings=limits)
    async with serving(answer(body)) as url:
        with pytest.raises(PeerRefusedError):
            await collected(patient.search(web_peer(url), STUDIES))


async def test_an_answer_without_end_is_cut(web_client: DicomWebClient) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(b"x" * 65_536)
        return response

    async with serving(handler) as url:
        with pytest.raises(PeerRefusedError) as caught:
            await collected(web_client.search(web_peer(url), STUDIES))

    assert "longer than is taken" in caught.value.message


async def test_a_server_that_is_silent_is_unreachable(web_client: DicomWebClient) -> None:
    async def handler(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with serving(handler) as url:
        with pytest.raises(PeerUnreachableError) as caught:
            await web_client.test(web_peer(url))

    assert caught.value.metadata["step"] == "http"


@pytest.mark.parametrize(
    ("status", "error"), [(401, PeerRefusedError), (503, PeerUnreachableError)]
)
async def test_a_status_of_failure_is_told_by_its_kind(
    web_client: DicomWebClient, status: int, error: type[Exception]
) -> None:
    async with serving(answer([{"error": "DOE^JOHN"}], status)) as url:
        with pytest.raises(error) as caught:
            await web_client.test(web_peer(url))

    assert "DOE" not in str(caught.value)


async def test_a_compressed_answer_that_nobody_asked_for_is_refused(
    web_client: DicomWebClient,
) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8b" + b"\0" * 100, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as url:
        with pytest.raises(PeerRefusedError):
            await web_client.test(web_peer(url))


async def test_a_server_that_knows_no_paging_is_asked_no_more(web_client: DicomWebClient) -> None:
    pages = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal pages
        pages += 1
        return web.json_response(
            [{"0020000D": {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(4)]
        )

    wanted = Search(SearchLevel.STUDIES, limit=3)
    async with serving(handler) as url:
        found = await collected(web_client.search(web_peer(url), wanted))

    assert len(found) == 4
    assert isinstance(found[-1], Truncated)
    assert pages == 1


async def test_what_we_show_goes_to_the_peer_alone(web_client: DicomWebClient) -> None:
    shown: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        shown.append(request.headers.get("Authorization", ""))
        return web.json_response([])

    async with serving(handler) as url:
        await web_client.test(web_peer(url, Credentials(user_name="us", password="secret")))
        await web_client.test(web_peer(url, Credentials(bearer_token="abc")))
        await web_client.test(web_peer(url))

    assert shown == ["Basic dXM6c2VjcmV0", "Bearer abc", ""]


async def test_https_is_verified(web_client: DicomWebClient, tmp_path: Path) -> None:
    authority = Authority.create()
    certificate, key, _ = authority.files(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async with serving(answer([]), ssl_context=context) as url:
        await web_client.test(web_peer(url, ca_pem=authority.pem))
        with pytest.raises(PeerUnreachableError) as caught:
            await web_client.test(web_peer(url, ca_pem=Authority.create("other").pem))

    assert caught.value.metadata["step"] == "tls"


async def test_a_name_is_never_part_of_a_path(web_client: DicomWebClient) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.json_response([])

    wanted = Search(SearchLevel.STUDIES, keys=[Key("PatientName", "A/../&limit=9?#\r\nX: y")])
    async with serving(handler) as url:
        await collected(web_client.search(web_peer(url), wanted))

    [path] = asked
    assert path.startswith("/dicom-web/studies?00100010=")
    assert path.count("limit=") == 1 + path.count("%26limit=")
    assert "\r" not in path

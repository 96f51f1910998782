"""DICOMweb servers that redirect, lie, send without end, or never answer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.dicomweb_client.client import DicomWebClient
from gateway.dicomweb_client.retrieve import Resource
from gateway.dicomweb_client.search import Search, SearchLevel
from gateway.dicomweb_client.session import web_session
from gateway.dicomweb_client.store import store
from gateway.file_door import FileDoor
from gateway.peers.errors import PeerRefusedError, PeerUnreachableError
from gateway.peers.outcome import StoreOutcome
from gateway.peers.peer import Credentials, Peer, WebAddress
from gateway.peers.settings import ExchangeSettings
from gateway.peers.turns import Turns
from gateway.query_retrieve.stored import StoredInstance
from gateway.scu.find import Truncated
from gateway.scu.identifier import Key
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import BlobNotFoundError
from tests.gateway.peers.conftest import Handed, collected
from tests.support.instances import CT, ct_instance, part10
from tests.support.peer_certificates import Authority

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STUDIES = Search(SearchLevel.STUDIES)
EXPLICIT = "1.2.840.10008.1.2.1"


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


@pytest.fixture
def client(bounds: ExchangeSettings, door: FileDoor) -> DicomWebClient:
    nothing: Any = None
    limits = bounds.model_copy(update={"max_answer_bytes": 1 << 16, "message_timeout_s": 1.0})
    return DicomWebClient(limits, nothing, nothing, door, Turns(2))


def web_peer(url: str, credentials: Credentials | None = None, ca_pem: str = "") -> Peer:
    where = WebAddress(url, ca_pem)
    return Peer("id", "peer", inside=True, web=where, credentials=credentials or Credentials())


def answer(rows: Any, status: int = 200) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        return web.Response(body=body, status=status, content_type="application/dicom+json")

    return handler


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
    client: DicomWebClient, location: str
) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    async with serving(handler) as url:
        with pytest.raises(PeerRefusedError) as caught:
            await collected(client.search(web_peer(url), STUDIES))

    assert caught.value.metadata["status"] == "302"


async def test_a_redirect_within_the_server_is_followed_a_few_times(client: DicomWebClient) -> None:
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
        found = await collected(client.search(web_peer(url), STUDIES))
    async with serving(around) as url:
        with pytest.raises(PeerRefusedError):
            await collected(client.search(web_peer(url), STUDIES))

    assert len(found) == 1
    assert len(seen) == 2 + 4


@pytest.mark.parametrize(
    "body",
    [b"{", b"null", b'"text"', b"[1]", b"<html>", b"[" * 100_000, b'[{"a":' * 50_000],
    ids=["half", "null", "text", "numbers", "html", "deep", "nested"],
)
async def test_what_is_no_dicom_json_is_refused(client: DicomWebClient, body: bytes) -> None:
    limits = client.settings.model_copy(update={"max_answer_bytes": 1 << 20})
    patient = DicomWebClient(limits, client.archive, client.stored, client.door, client.turns)
    async with serving(answer(body)) as url:
        with pytest.raises(PeerRefusedError):
            await collected(patient.search(web_peer(url), STUDIES))


async def test_an_answer_without_end_is_cut(client: DicomWebClient) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(b"x" * 65_536)
        return response

    async with serving(handler) as url:
        with pytest.raises(PeerRefusedError) as caught:
            await collected(client.search(web_peer(url), STUDIES))

    assert "longer than is taken" in caught.value.message


async def test_a_server_that_is_silent_is_unreachable(client: DicomWebClient) -> None:
    async def handler(_request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with serving(handler) as url:
        with pytest.raises(PeerUnreachableError) as caught:
            await client.test(web_peer(url))

    assert caught.value.metadata["step"] == "http"


@pytest.mark.parametrize(
    ("status", "error"), [(401, PeerRefusedError), (503, PeerUnreachableError)]
)
async def test_a_status_of_failure_is_told_by_its_kind(
    client: DicomWebClient, status: int, error: type[Exception]
) -> None:
    async with serving(answer([{"error": "DOE^JOHN"}], status)) as url:
        with pytest.raises(error) as caught:
            await client.test(web_peer(url))

    assert "DOE" not in str(caught.value)


async def test_a_compressed_answer_that_nobody_asked_for_is_refused(client: DicomWebClient) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8b" + b"\0" * 100, headers={"Content-Encoding": "gzip"})

    async with serving(handler) as url:
        with pytest.raises(PeerRefusedError):
            await client.test(web_peer(url))


async def test_a_server_that_knows_no_paging_is_asked_no_more(client: DicomWebClient) -> None:
    pages = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal pages
        pages += 1
        return web.json_response(
            [{"0020000D": {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(4)]
        )

    wanted = Search(SearchLevel.STUDIES, limit=3)
    async with serving(handler) as url:
        found = await collected(client.search(web_peer(url), wanted))

    assert len(found) == 4
    assert isinstance(found[-1], Truncated)
    assert pages == 1


async def test_what_we_show_goes_to_the_peer_alone(client: DicomWebClient) -> None:
    shown: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        shown.append(request.headers.get("Authorization", ""))
        return web.json_response([])

    async with serving(handler) as url:
        await client.test(web_peer(url, Credentials(user_name="us", password="secret")))
        await client.test(web_peer(url, Credentials(bearer_token="abc")))
        await client.test(web_peer(url))

    assert shown == ["Basic dXM6c2VjcmV0", "Bearer abc", ""]


async def test_https_is_verified(client: DicomWebClient, tmp_path: Path) -> None:
    authority = Authority.create()
    certificate, key, _ = authority.files(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async with serving(answer([]), ssl_context=context) as url:
        await client.test(web_peer(url, ca_pem=authority.pem))
        with pytest.raises(PeerUnreachableError) as caught:
            await client.test(web_peer(url, ca_pem=Authority.create("other").pem))

    assert caught.value.metadata["step"] == "tls"


def multipart(*files: bytes, end: bool = True) -> bytes:
    parts = [b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
    return b"".join(parts) + (b"--b--\r\n" if end else b"")


def related(body: bytes) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        return web.Response(body=body, headers={"Content-Type": kind})

    return handler


async def test_what_is_broken_is_counted_and_what_is_whole_is_kept(
    client: DicomWebClient, handed: Handed
) -> None:
    good = part10(ct_instance(study_uid="1.2.3", size=8))
    async with serving(related(multipart(good, b"no DICOM", good[:400], good))) as url:
        found = await collected(client.retrieve(web_peer(url), Resource("1.2.3")))

    assert (found[-1].stored, found[-1].known, found[-1].failed) == (1, 1, 2)
    assert [(d.released, d.stored_count) for d in handed.departures] == [(False, 2)]


async def test_a_body_that_breaks_off_is_told_apart_from_a_whole_one(
    client: DicomWebClient, handed: Handed
) -> None:
    good = part10(ct_instance(study_uid="1.2.3", size=8))
    async with serving(related(multipart(good, good, end=False))) as url:
        with pytest.raises(PeerRefusedError):
            await collected(client.retrieve(web_peer(url), Resource("1.2.3")))

    assert [(d.released, d.stored_count) for d in handed.departures] == [(False, 1)]


async def test_what_is_neither_multipart_nor_dicom_is_refused(client: DicomWebClient) -> None:
    async with serving(answer(b"<html>")) as url:
        with pytest.raises(PeerRefusedError):
            await collected(client.retrieve(web_peer(url), Resource("1.2.3")))


class Shelf:
    """Stored instances, one of which is gone."""

    async def data_set(self, instance: StoredInstance, _syntax: str) -> AsyncIterator[bytes]:
        yield b"first half"
        if instance.sop_instance_uid == "1.2.404":
            raise BlobNotFoundError(instance.ref.sha256)
        yield b"second half"


def stored(*uids: str) -> list[StoredInstance]:
    ref = BlobRef(hashlib.sha256(b"x").hexdigest(), 100, "application/dicom")
    return [StoredInstance("id", CT, uid, EXPLICIT, ref) for uid in uids]


async def sent(
    url: str, bounds: ExchangeSettings, *uids: str
) -> list[tuple[str, StoreOutcome, int]]:
    shelf: Any = Shelf()
    async with web_session(web_peer(url), bounds) as session:
        outcomes = await collected(store(session, stored(*uids), shelf))
    return [(item.sop_instance_uid, item.outcome, item.status) for item in outcomes]


async def test_each_instance_has_the_outcome_that_the_server_tells(
    bounds: ExchangeSettings,
) -> None:
    said = {
        "00081199": {
            "vr": "SQ",
            "Value": [
                {"00081155": {"vr": "UI", "Value": ["1.2.1"]}},
                {
                    "00081155": {"vr": "UI", "Value": ["1.2.2"]},
                    "00081196": {"vr": "US", "Value": [0xB000]},
                },
            ],
        },
        "00081198": {
            "vr": "SQ",
            "Value": [
                {
                    "00081155": {"vr": "UI", "Value": ["1.2.3"]},
                    "00081197": {"vr": "US", "Value": [0xA700]},
                }
            ],
        },
    }

    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(said, status=202)

    async with serving(handler) as url:
        found = await sent(url, bounds, "1.2.1", "1.2.2", "1.2.3", "1.2.4")

    assert found == [
        ("1.2.1", StoreOutcome.STORED, 0),
        ("1.2.2", StoreOutcome.WARNING, 0xB000),
        ("1.2.3", StoreOutcome.REFUSED, 0xA700),
        ("1.2.4", StoreOutcome.REFUSED, 202),
    ]


async def test_an_instance_that_cannot_be_read_holds_up_no_other(bounds: ExchangeSettings) -> None:
    bodies: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(status=200)

    async with serving(handler) as url:
        found = await sent(url, bounds, "1.2.1", "1.2.404", "1.2.2")

    assert sorted(found) == [
        ("1.2.1", StoreOutcome.STORED, 0),
        ("1.2.2", StoreOutcome.STORED, 0),
        ("1.2.404", StoreOutcome.NOT_SENT, 0),
    ]
    assert [body.count(b"Content-Type: application/dicom") for body in bodies] == [2]


async def test_a_server_that_takes_nothing_is_an_error(bounds: ExchangeSettings) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=415)

    async with serving(handler) as url:
        with pytest.raises(PeerRefusedError) as caught:
            await sent(url, bounds, "1.2.1")

    assert caught.value.metadata["status"] == "415"


async def test_a_name_is_never_part_of_a_path(client: DicomWebClient) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.json_response([])

    wanted = Search(SearchLevel.STUDIES, keys=[Key("PatientName", "A/../&limit=9?#\r\nX: y")])
    async with serving(handler) as url:
        await collected(client.search(web_peer(url), wanted))

    [path] = asked
    assert path.startswith("/dicom-web/studies?00100010=")
    assert path.count("limit=") == 1 + path.count("%26limit=")
    assert "\r" not in path

"""Retrieving from and storing to servers that misbehave."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gateway.dicomweb_client.client import DicomWebClient
from gateway.dicomweb_client.retrieve import Resource
from gateway.dicomweb_client.session import web_session
from gateway.dicomweb_client.store import store
from gateway.peers.errors import PeerRefusedError
from gateway.peers.outcome import StoreOutcome
from gateway.peers.peer import Recipient
from gateway.peers.settings import ExchangeSettings
from gateway.query_retrieve.stored import StoredInstance
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import BlobNotFoundError
from tests.gateway.peers.conftest import Handed, collected
from tests.gateway.peers.hostile_server import Handler, answer, serving, web_peer
from tests.support.instances import CT, ct_instance, part10

EXPLICIT = "1.2.840.10008.1.2.1"


def multipart(*files: bytes, end: bool = True) -> bytes:
    parts = [b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
    return b"".join(parts) + (b"--b--\r\n" if end else b"")


def related(body: bytes) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        return web.Response(body=body, headers={"Content-Type": kind})

    return handler


async def test_what_is_broken_is_counted_and_what_is_whole_is_kept(
    web_client: DicomWebClient, handed: Handed
) -> None:
    good = part10(ct_instance(study_uid="1.2.3", size=8))
    async with serving(related(multipart(good, b"no DICOM", good[:400], good))) as url:
        found = await collected(web_client.retrieve(web_peer(url), Resource("1.2.3")))

    assert (found[-1].stored, found[-1].known, found[-1].failed) == (1, 1, 2)
    assert [(d.released, d.stored_count) for d in handed.departures] == [(False, 2)]


async def test_a_body_that_breaks_off_is_told_apart_from_a_whole_one(
    web_client: DicomWebClient, handed: Handed
) -> None:
    good = part10(ct_instance(study_uid="1.2.3", size=8))
    async with serving(related(multipart(good, good, end=False))) as url:
        with pytest.raises(PeerRefusedError):
            await collected(web_client.retrieve(web_peer(url), Resource("1.2.3")))

    assert [(d.released, d.stored_count) for d in handed.departures] == [(False, 1)]


async def test_what_is_neither_multipart_nor_dicom_is_refused(web_client: DicomWebClient) -> None:
    async with serving(answer(b"<html>")) as url:
        with pytest.raises(PeerRefusedError):
            await collected(web_client.retrieve(web_peer(url), Resource("1.2.3")))


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
        outcomes = await collected(store(session, Recipient(session.peer), stored(*uids), shelf))
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

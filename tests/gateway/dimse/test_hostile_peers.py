"""Peers that break the upper layer's rules: each is ended, and the next sender gets in."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

import psutil
import pytest

from gateway.dimse import pdu
from tests.gateway.conftest import RunningGateway, Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.scu import (
    ABORT,
    CT,
    EXPLICIT,
    VERIFICATION,
    Scu,
    associate_request,
    data_pdus,
    store_command,
)

MEBIBYTE = 1 << 20


def stores(port: int, host: str = "127.0.0.1") -> int:
    dataset = ct_instance()
    with Scu(port, host) as scu:
        scu.associate()
        return scu.store(encoded(dataset), dataset.SOPInstanceUID)


async def control(gateway: RunningGateway) -> int:
    return await asyncio.to_thread(stores, gateway.port)


def announce(kind: int, length: int) -> bytes:
    return struct.pack(">BxL", kind, length)


def pdv(length: int, context_id: int, control: int, data: bytes) -> bytes:
    return pdu.encode(pdu.DATA_TF, struct.pack(">LBB", length, context_id, control) + data)


STORE = pdu.encode_data(1, store_command("1.2.3"), is_command=True, is_last=True)
RELEASE = pdu.encode(pdu.RELEASE_RQ, bytes(4))
ABUSES: dict[str, bytes] = {
    "length of 4 GiB": announce(pdu.DATA_TF, 0xFFFFFFFF) + b"x" * 1000,
    "longer than agreed": announce(pdu.DATA_TF, (128 << 10) + 13),
    "PDV past the end": pdv(500, 1, 3, b"x" * 10),
    "PDV of length 0": pdv(0, 1, 3, b""),
    "PDV of length 1": pdv(1, 1, 3, b""),
    "PDV of 4 GiB": pdv(0xFFFFFFFF, 1, 3, b"x" * 10),
    "PDV header cut": pdu.encode(pdu.DATA_TF, b"\0\0\0"),
    "even context id": pdv(12, 2, 3, b"x" * 10),
    "context not accepted": pdv(12, 99, 3, b"x" * 10),
    "data before a command": pdv(12, 1, 2, b"x" * 10),
    "command within data": STORE + STORE,
    "endless command": pdv(8002, 1, 1, b"\0" * 8000) * 3,
    "command set cut": pdv(7, 1, 3, b"\0" * 5),
    "command of group 0008": pdv(14, 1, 3, struct.pack("<HHLL", 8, 0, 4, 0)),
    "command without a field": pdv(14, 1, 3, struct.pack("<HHLL", 0, 0, 4, 0)),
    "associate again": associate_request([(1, CT, (EXPLICIT,))]),
    "unknown PDU": announce(0x2A, 4) + b"abcd",
    "release of 4 GiB": announce(pdu.RELEASE_RQ, 0xFFFFFFFF),
    "release within a data set": STORE + RELEASE,
}


@pytest.mark.parametrize("abuse", ABUSES.values(), ids=ABUSES.keys())
async def test_a_broken_rule_is_answered_with_an_abort(start_gateway: Start, abuse: bytes) -> None:
    gateway = await start_gateway()
    before = psutil.Process().memory_info().rss

    def misbehave() -> tuple[int, int]:
        with Scu(gateway.port) as scu:
            scu.associate()
            scu.send(abuse)
            return scu.receive()[0], scu.receive()[0]

    answers = await asyncio.to_thread(misbehave)

    assert answers == (ABORT, 0)
    assert psutil.Process().memory_info().rss - before < 64 * MEBIBYTE
    assert await control(gateway) == 0x0000
    assert len(gateway.intake.rows) == 1


@pytest.mark.parametrize(
    "hello",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n", b"\0"],
    ids=["http", "tls", "ssh", "nul"],
)
async def test_what_is_no_dicom_peer_is_cut_at_once(start_gateway: Start, hello: bytes) -> None:
    gateway = await start_gateway()

    def knock() -> tuple[bytes, float]:
        with socket.create_connection(("127.0.0.1", gateway.port), 10) as peer:
            start = time.monotonic()
            peer.sendall(hello)
            try:
                return peer.recv(100), time.monotonic() - start
            except ConnectionResetError:
                return b"", time.monotonic() - start

    answer, took_s = await asyncio.to_thread(knock)

    assert answer == b""
    assert took_s < 1
    assert await control(gateway) == 0x0000


@pytest.mark.parametrize(
    "request_bytes",
    [
        announce(1, 0xFFFFFFFF),
        announce(1, (128 << 10) + 1),
        pdu.encode(1, b"\0\1\0\0"),
        pdu.encode(1, b"\0\1" + bytes(66) + b"\x10\x00\xff\xff1.2"),
        pdu.encode(1, b"\0\1" + bytes(66) + pdu.encode_item(0x20, b"\x02\0\0\0")),
        pdu.encode(1, b"\0\1" + bytes(66) + pdu.encode_item(0x20, b"\x01")),
        pdu.encode(1, b"\0\1" + bytes(66) + pdu.encode_item(0x7F, b"") * 5000),
        pdu.encode(1, b"\0\1" + bytes(66) + pdu.encode_item(0x20, b"\x01\0\0\0") * 129),
    ],
    ids=[
        "4 GiB",
        "too long",
        "cut",
        "item past end",
        "even id",
        "short context",
        "too many items",
        "too many contexts",
    ],
)
async def test_a_malformed_request_is_aborted(start_gateway: Start, request_bytes: bytes) -> None:
    gateway = await start_gateway()

    def ask() -> int:
        with Scu(gateway.port) as scu:
            scu.send(request_bytes)
            return scu.receive()[0]

    assert await asyncio.to_thread(ask) == ABORT
    assert await control(gateway) == 0x0000


async def test_an_object_past_the_cap_is_aborted_and_leaves_no_file(start_gateway: Start) -> None:
    gateway = await start_gateway(max_object_bytes=4 * MEBIBYTE)
    before = psutil.Process().memory_info().rss

    def flood() -> int:
        with Scu(gateway.port) as scu:
            scu.associate()
            scu.send(STORE)
            part = pdu.encode_data(1, b"x" * 64_000, is_command=False, is_last=False)
            try:
                for _ in range(200):
                    scu.send(part)
            except (BrokenPipeError, ConnectionResetError):
                return ABORT
            return scu.receive()[0]

    assert await asyncio.to_thread(flood) == ABORT
    assert psutil.Process().memory_info().rss - before < 64 * MEBIBYTE
    await until(lambda: not list((gateway.blobs / "incoming").iterdir()))
    assert await control(gateway) == 0x0000


async def test_idle_connections_do_not_keep_a_sender_out(start_gateway: Start) -> None:
    gateway = await start_gateway()
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(200)]
    try:
        for peer in idle:
            peer.send(b"\x01")
        start = time.monotonic()

        status = await control(gateway)

        assert status == 0x0000
        assert time.monotonic() - start < 2
    finally:
        for peer in idle:
            peer.close()


async def test_a_connection_that_stays_silent_is_ended(start_gateway: Start) -> None:
    gateway = await start_gateway(negotiate_timeout_s=0.3)

    def dribble() -> float:
        start = time.monotonic()
        with Scu(gateway.port) as scu:
            scu.send(b"\x01")
            while time.monotonic() - start < 5:
                try:
                    scu.send(b"\0")
                except OSError:
                    break
                time.sleep(0.1)
        return time.monotonic() - start

    assert await asyncio.to_thread(dribble) < 4


async def test_a_silent_association_is_aborted(start_gateway: Start) -> None:
    gateway = await start_gateway(idle_timeout_s=0.3)

    def fall_silent() -> int:
        with Scu(gateway.port) as scu:
            scu.associate()
            return scu.receive()[0]

    assert await asyncio.wait_for(asyncio.to_thread(fall_silent), 10) == ABORT


async def test_a_pdu_that_never_ends_is_aborted(start_gateway: Start) -> None:
    gateway = await start_gateway(pdu_timeout_s=0.3)

    def stop_within() -> int:
        with Scu(gateway.port) as scu:
            scu.associate()
            scu.send(STORE)
            scu.send(data_pdus(b"x" * 1000)[0][:500])
            return scu.receive()[0]

    assert await asyncio.wait_for(asyncio.to_thread(stop_within), 10) == ABORT
    await until(lambda: not list((gateway.blobs / "incoming").iterdir()))


async def test_associations_over_the_limit_are_rejected_for_the_moment(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(max_associations=2)

    def crowd() -> tuple[tuple[int, bytes], int]:
        with Scu(gateway.port) as first, Scu(gateway.port) as second, Scu(gateway.port) as third:
            first.associate()
            second.associate()
            answer = third.associate()
            first.release()
            first.receive()
        return answer, stores(gateway.port)

    answer, retried = await asyncio.to_thread(crowd)

    assert answer == (0x03, bytes((0, 2, 3, 2)))
    assert retried == 0x0000


async def test_one_address_cannot_take_all_associations(start_gateway: Start) -> None:
    gateway = await start_gateway(max_associations_per_address=1)

    def crowd() -> tuple[int, int]:
        with Scu(gateway.port) as first, Scu(gateway.port) as second:
            first.associate()
            return second.associate()[0], 0

    assert (await asyncio.to_thread(crowd))[0] == 0x03


@pytest.mark.parametrize(
    ("settings", "request_bytes", "answer"),
    [
        ({}, associate_request([(1, CT, (EXPLICIT,))], version=2), (1, 2, 2)),
        ({}, associate_request([(1, CT, (EXPLICIT,))], application_context="1.2.3"), (1, 1, 2)),
        (
            {"require_called_ae_title": True},
            associate_request([(1, CT, (EXPLICIT,))], called="OTHER"),
            (1, 1, 7),
        ),
    ],
    ids=["version", "application context", "called AE title"],
)
async def test_a_request_we_cannot_serve_is_rejected_with_its_reason(
    start_gateway: Start, settings: dict[str, bool], request_bytes: bytes, answer: tuple[int, ...]
) -> None:
    gateway = await start_gateway(**settings)

    def ask() -> tuple[int, bytes]:
        with Scu(gateway.port) as scu:
            scu.send(request_bytes)
            return scu.receive()

    assert await asyncio.to_thread(ask) == (0x03, bytes((0, *answer)))


async def test_a_sender_that_breaks_off_leaves_nothing_and_may_retry(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance(size=256)
    data = encoded(dataset)

    def break_off(tenth: int) -> None:
        with Scu(gateway.port) as scu:
            scu.associate()
            scu.send(
                pdu.encode_data(
                    1, store_command(dataset.SOPInstanceUID), is_command=True, is_last=True
                )
            )
            stream = b"".join(data_pdus(data))
            scu.send(stream[: len(stream) * tenth // 10])
            # A reset rather than an orderly end.
            scu.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    for tenth in range(10):
        await asyncio.to_thread(break_off, tenth)

    await until(lambda: not list((gateway.blobs / "incoming").iterdir()))
    assert gateway.intake.rows == {}
    assert gateway.intake.closed == []

    def retry() -> int:
        with Scu(gateway.port) as scu:
            scu.associate()
            return scu.store(data, dataset.SOPInstanceUID)

    assert await asyncio.to_thread(retry) == 0x0000
    assert list(gateway.intake.rows) == [dataset.SOPInstanceUID]


async def test_an_unknown_sop_class_is_refused_by_its_context(start_gateway: Start) -> None:
    gateway = await start_gateway()

    def ask() -> bytes:
        with Scu(gateway.port) as scu:
            return scu.associate(
                [
                    (1, "1.2.840.10008.5.1.4.39.2", (EXPLICIT,)),  # palettes, not offered
                    (3, CT, ("1.2.3.4.5",)),
                    (5, "1.2.840.10008.5.1.4.1.1.99999", (EXPLICIT,)),  # storage to come
                    (7, VERIFICATION, (EXPLICIT,)),
                ]
            )[1]

    body = await asyncio.to_thread(ask)

    results = {body[i + 4]: body[i + 6] for i in _items_of(body, 0x21)}
    assert results == {1: 3, 3: 4, 5: 0, 7: 0}


def _items_of(body: bytes, kind: int) -> list[int]:
    found, offset = [], 68
    while offset < len(body):
        if body[offset] == kind:
            found.append(offset)
        offset += 4 + int.from_bytes(body[offset + 2 : offset + 4], "big")
    return found

"""C-FIND as provider: who and what is refused, and queries that end early."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Any

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive
from heimdallr.peers.v1 import peers_service_pb2 as peers
from tests.gateway.conftest import Start, until
from tests.gateway.query_retrieve.asking import (
    FIND,
    ROW,
    STUDY_ROOT,
    asked,
    finding,
)
from tests.support.requester import EXPLICIT, IMPLICIT, Message, Requester, identifier


async def test_whoever_nobody_registered_is_told_nothing(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW]]

    def run() -> list[Message]:
        with Requester(gateway.port) as scu:
            scu.associate([(1, STUDY_ROOT, (EXPLICIT,))])
            return finding(QueryRetrieveLevel="STUDY", StudyInstanceUID="")(scu)

    [unknown] = await asyncio.to_thread(run)

    assert unknown.status == 0x0124
    assert gateway.coordinator.archive.queries == []
    assert gateway.coordinator.audit.outcomes() == [
        ("/dicom.Dimse/C_FIND", "ae.TESTSCU", "PERMISSION_DENIED")
    ]


@pytest.mark.parametrize(
    "spec",
    [{"trust_zone": peers.TRUST_ZONE_OUTSIDE}, {"dimse": {"tls": False}}],
    ids=["outside", "at another address"],
)
async def test_a_peer_that_is_not_inside_is_told_nothing(
    start_gateway: Start, spec: dict[str, Any]
) -> None:
    gateway = await start_gateway()
    gateway.coordinator.peers.add("TESTSCU", **spec)
    if "dimse" in spec:
        gateway.coordinator.peers.peers["TESTSCU"].spec.dimse.host = "192.0.2.1"

    def run() -> list[Message]:
        with Requester(gateway.port) as scu:
            scu.associate([(1, STUDY_ROOT, (EXPLICIT,))])
            return finding(QueryRetrieveLevel="STUDY", StudyInstanceUID="")(scu)

    [refused] = await asyncio.to_thread(run)

    assert refused.status == 0x0124
    assert gateway.coordinator.archive.queries == []


async def test_a_query_is_cancelled(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW] * 200] * 500

    def work(scu: Requester) -> int:
        scu.request(FIND, STUDY_ROOT, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))
        assert scu.message().status == 0xFF00
        scu.cancel()
        return scu.answers()[-1].status

    status = await asked(gateway, work)

    assert status == 0xFE00
    await until(lambda: gateway.coordinator.archive.ended == 1)
    assert gateway.coordinator.archive.sent < 500


async def test_a_client_that_stops_reading_stops_the_archive(start_gateway: Start) -> None:
    gateway = await start_gateway(pdu_timeout_s=1.0)
    rows = [archive.QueryRow(study=archive.Study(study_description="x" * 1000))] * 200
    gateway.coordinator.archive.batches = [rows] * 2_000  # 400 MB of answers

    def work(scu: Requester) -> int:
        keys = identifier(QueryRetrieveLevel="STUDY", StudyDescription="", StudyInstanceUID="")
        scu.request(FIND, STUDY_ROOT, keys)
        first = scu.message().status
        # The association ends although nothing is read.
        for _ in range(100):
            if gateway.coordinator.archive.ended:
                break
            time.sleep(0.1)
        return first

    assert await asked(gateway, work) == 0xFF00
    await until(lambda: gateway.coordinator.archive.ended == 1)
    assert gateway.coordinator.archive.sent < 200


async def test_a_peer_that_goes_away_stops_the_archive(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW] * 200] * 5_000

    def work(scu: Requester) -> int:
        scu.request(FIND, STUDY_ROOT, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))
        return scu.message().status

    assert await asked(gateway, work) == 0xFF00
    await until(lambda: gateway.coordinator.archive.ended == 1)
    assert gateway.coordinator.archive.sent < 5_000


@pytest.mark.parametrize(
    ("code", "status"),
    [(grpc.StatusCode.UNAVAILABLE, 0xA700), (grpc.StatusCode.INVALID_ARGUMENT, 0xC000)],
)
async def test_an_archive_that_fails_is_a_failure(
    start_gateway: Start, code: grpc.StatusCode, status: int
) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.failure = code

    [last] = await asked(gateway, finding(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))

    assert last.status == status


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x00\x52\x00CS\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x08\x00\x52\x00XX\x02\x00ab",
        b"\x10\x00\x20\x00LO\x02\x00a " * 2,
        b"\x40\x00\x00\x01SQ\x00\x00\xff\xff\xff\xff" * 20,
        b"".join(b"\x09\x00" + i.to_bytes(2, "little") + b"LO\0\0" for i in range(16, 900)),
    ],
    ids=["cut", "group 0", "no such VR", "twice", "deep", "too many keys"],
)
async def test_an_identifier_that_is_no_data_set_is_refused(
    start_gateway: Start, data: bytes
) -> None:
    gateway = await start_gateway()

    def work(scu: Requester) -> tuple[int, int]:
        scu.request(FIND, STUDY_ROOT, data)
        broken = scu.message().status
        return broken, finding(QueryRetrieveLevel="STUDY", StudyInstanceUID="")(scu)[-1].status

    assert await asked(gateway, work) == (0xA900, 0x0000)


async def test_an_identifier_past_the_cap_is_refused_and_passed_over(start_gateway: Start) -> None:
    gateway = await start_gateway()
    huge = struct.pack("<HHL", 0x0010, 0x0010, 5 << 20) + bytes(5 << 20)

    def work(scu: Requester) -> tuple[int, int]:
        scu.request(FIND, STUDY_ROOT, huge)
        first = scu.message().status
        return first, finding(STUDY_ROOT, IMPLICIT, QueryRetrieveLevel="STUDY")(scu)[-1].status

    assert await asked(gateway, work, syntax=IMPLICIT) == (0xA700, 0x0000)


async def test_a_command_that_the_service_does_not_have_is_not_recognized(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()

    def work(scu: Requester) -> int:
        scu.request(0x0021, STUDY_ROOT, identifier(QueryRetrieveLevel="STUDY"))
        return scu.message().status

    assert await asked(gateway, work) == 0x0211

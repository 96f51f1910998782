"""C-GET through a real socket: sub-operations on the association that asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom.uid import generate_uid

from gateway.dimse import pdu
from tests.gateway.conftest import RunningGateway, Start
from tests.gateway.held import hold
from tests.support.instances import ct_instance
from tests.support.requester import IMPLICIT, Message, Requester, decoded, identifier
from tests.support.scu import CT, EXPLICIT

GET = 0x0010
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.3"
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023


@dataclass
class Fetched:
    """What came back."""

    stored: list[Message] = field(default_factory=list)
    pending: list[Message] = field(default_factory=list)
    last: Message | None = None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Completed, failed and warning in the last response."""
        assert self.last is not None
        return tuple(self.last.number(n) for n in (COMPLETED, FAILED, WARNING))  # type: ignore[return-value]


def request_for(*storage: tuple[str, tuple[str, ...], bool]) -> bytes:
    """Return an A-ASSOCIATE-RQ for C-GET and storage contexts, with the peer as provider or not."""
    contexts = [(STUDY_ROOT, (EXPLICIT,), False), *storage]
    items = pdu.encode_item(0x10, b"1.2.840.10008.3.1.1.1")
    user = pdu.encode_item(0x51, (16384).to_bytes(4, "big"))
    for index, (abstract, syntaxes, provides) in enumerate(contexts):
        inner = pdu.encode_item(0x30, abstract.encode())
        inner += b"".join(pdu.encode_item(0x40, uid.encode()) for uid in syntaxes)
        items += pdu.encode_item(0x20, bytes((2 * index + 1, 0, 0, 0)) + inner)
        if provides:
            user += pdu.encode_item(0x54, pdu.sized(abstract.encode()) + b"\0\1")
    titles = b"HEIMDALLR".ljust(16) + b"TESTSCU".ljust(16)
    items += pdu.encode_item(0x50, user)
    return pdu.encode(1, b"\0\1\0\0" + titles + bytes(32) + items)


def getting(
    request: bytes, answer: Callable[[Requester, Message], None] | None = None, **keys: Any
) -> Callable[[int], Fetched]:
    """Return the work of one C-GET that stores what comes."""

    def work(port: int) -> Fetched:
        fetched = Fetched()
        with Requester(port) as scu:
            scu.send(request)
            assert scu.receive()[0] == pdu.ASSOCIATE_AC
            scu.request(GET, STUDY_ROOT, identifier(**keys))
            while fetched.last is None:
                message = scu.message()
                if message.number(0x0100) == 0x0001:
                    fetched.stored.append(message)
                    (answer or Requester.answer)(scu, message)
                elif message.status == 0xFF00:
                    fetched.pending.append(message)
                else:
                    fetched.last = message
            scu.release()
        return fetched

    return work


async def fetch(gateway: RunningGateway, work: Callable[[int], Fetched]) -> Fetched:
    gateway.coordinator.peers.add("TESTSCU")
    return await asyncio.to_thread(work, gateway.port)


async def test_a_study_comes_back_on_the_same_association(start_gateway: Start) -> None:
    gateway = await start_gateway()
    study = generate_uid()
    datasets = [ct_instance(study_uid=study, number=n, size=200) for n in range(3)]
    await hold(gateway, [*datasets, ct_instance()])

    work = getting(
        request_for((CT, (EXPLICIT,), True)), QueryRetrieveLevel="STUDY", StudyInstanceUID=study
    )
    fetched = await fetch(gateway, work)

    assert fetched.last is not None
    assert (fetched.last.status, fetched.counts) == (0x0000, (3, 0, 0))
    assert [decoded(m.data_set).PixelData for m in fetched.stored] == [
        d.PixelData for d in datasets
    ]
    assert [p.number(REMAINING) for p in fetched.pending] == [2, 1]
    assert fetched.stored[0].text(0x1000) == datasets[0].SOPInstanceUID


async def test_an_instance_is_recoded_for_a_peer_that_takes_another_syntax(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    await hold(gateway, [dataset])

    work = getting(
        request_for((CT, (IMPLICIT,), True)),
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=dataset.StudyInstanceUID,
    )
    fetched = await fetch(gateway, work)

    assert fetched.last is not None
    assert (fetched.last.status, fetched.counts) == (0x0000, (1, 0, 0))
    assert decoded(fetched.stored[0].data_set, IMPLICIT).PixelData == dataset.PixelData
    assert gateway.coordinator.conversion.asked == [IMPLICIT]


@pytest.mark.parametrize(
    "storage",
    [(), ((CT, (EXPLICIT,), False),), (("1.2.840.10008.5.1.4.1.1.4", (EXPLICIT,), True),)],
    ids=["no context", "not as provider", "another class"],
)
async def test_what_the_peer_does_not_take_fails_and_is_named(
    start_gateway: Start, storage: tuple[tuple[str, tuple[str, ...], bool], ...]
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    await hold(gateway, [dataset])

    work = getting(
        request_for(*storage),
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=dataset.StudyInstanceUID,
    )
    fetched = await fetch(gateway, work)

    assert fetched.last is not None
    assert (fetched.last.status, fetched.counts) == (0xA702, (0, 1, 0))
    assert fetched.last.decoded().FailedSOPInstanceUIDList == dataset.SOPInstanceUID


async def test_refused_and_warned_sub_operations_are_counted(start_gateway: Start) -> None:
    gateway = await start_gateway()
    study = generate_uid()
    await hold(gateway, [ct_instance(study_uid=study, number=n) for n in range(3)])
    statuses = iter((0xB007, 0xA700, 0x0000))

    def answer(scu: Requester, message: Message) -> None:
        scu.answer(message, next(statuses))

    work = getting(
        request_for((CT, (EXPLICIT,), True)),
        answer,
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=study,
    )
    fetched = await fetch(gateway, work)

    assert fetched.last is not None
    assert (fetched.last.status, fetched.counts) == (0xB000, (1, 1, 1))


async def test_an_instance_whose_bytes_changed_is_not_sent(start_gateway: Start) -> None:
    gateway = await start_gateway()
    study = generate_uid()
    datasets = [ct_instance(study_uid=study, number=n) for n in range(2)]
    await hold(gateway, datasets)
    sha256 = gateway.intake.rows[datasets[0].SOPInstanceUID]
    path = gateway.blobs / sha256[:2] / sha256
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(damaged)

    work = getting(
        request_for((CT, (EXPLICIT,), True)), QueryRetrieveLevel="STUDY", StudyInstanceUID=study
    )
    fetched = await fetch(gateway, work)

    assert fetched.last is not None
    assert (fetched.last.status, fetched.counts) == (0xB000, (1, 1, 0))
    assert [m.text(0x1000) for m in fetched.stored] == [datasets[1].SOPInstanceUID]
    assert fetched.last.decoded().FailedSOPInstanceUIDList == datasets[0].SOPInstanceUID


async def test_a_retrieval_is_cancelled(start_gateway: Start) -> None:
    gateway = await start_gateway()
    study = generate_uid()
    await hold(gateway, [ct_instance(study_uid=study, number=n, size=8) for n in range(30)])

    def answer(scu: Requester, message: Message) -> None:
        scu.cancel()
        scu.answer(message)

    work = getting(
        request_for((CT, (EXPLICIT,), True)),
        answer,
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=study,
    )
    fetched = await fetch(gateway, work)

    assert fetched.last is not None
    assert fetched.last.status == 0xFE00
    assert fetched.last.number(REMAINING) == 30 - len(fetched.stored)
    assert len(fetched.stored) < 30


async def test_a_peer_that_goes_away_meanwhile_gives_its_place_back(start_gateway: Start) -> None:
    gateway = await start_gateway(max_associations=1)
    study = generate_uid()
    await hold(gateway, [ct_instance(study_uid=study, number=n) for n in range(3)])
    gateway.coordinator.peers.add("TESTSCU")

    def leave() -> None:
        with Requester(gateway.port) as scu:
            scu.send(request_for((CT, (EXPLICIT,), True)))
            assert scu.receive()[0] == pdu.ASSOCIATE_AC
            keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=study)
            scu.request(GET, STUDY_ROOT, keys)
            scu.message()

    def come_back() -> bool:
        with Requester(gateway.port) as scu:
            return scu.associate()[0] == pdu.ASSOCIATE_AC

    await asyncio.to_thread(leave)

    def until_there_is_room() -> bool:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if come_back():
                return True
            time.sleep(0.02)
        return False

    assert await asyncio.to_thread(until_there_is_room)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"QueryRetrieveLevel": "STUDY"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"},
        {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.2"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1." + "2" * 70},
    ],
)
async def test_an_identifier_that_does_not_fit_is_refused(
    start_gateway: Start, keys: dict[str, Any]
) -> None:
    gateway = await start_gateway()

    fetched = await fetch(
        gateway, getting(request_for((CT, (EXPLICIT,), True)), PatientID="1", **keys)
    )

    assert fetched.last is not None
    assert fetched.last.status == 0xA900
    assert gateway.coordinator.archive.lookups == []


async def test_whoever_nobody_registered_gets_nothing(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    await hold(gateway, [dataset])

    work = getting(
        request_for((CT, (EXPLICIT,), True)),
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=dataset.StudyInstanceUID,
    )
    fetched = await asyncio.to_thread(work, gateway.port)

    assert fetched.last is not None
    assert (fetched.last.status, fetched.stored) == (0x0124, [])
    assert gateway.coordinator.archive.lookups == []


async def test_nothing_found_is_a_success(start_gateway: Start) -> None:
    gateway = await start_gateway()

    work = getting(request_for(), QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
    fetched = await fetch(gateway, work)

    assert fetched.last is not None
    assert (fetched.last.status, fetched.counts) == (0x0000, (0, 0, 0))

"""C-MOVE: from the peer that asks, over the registry, to a destination that is another gateway."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.uid import generate_uid

from gateway.dimse import pdu
from heimdallr.peers.v1 import peers_service_pb2 as peers
from tests.gateway.conftest import RunningGateway, Start
from tests.gateway.held import hold
from tests.support.instances import ct_instance
from tests.support.requester import EXPLICIT, IMPLICIT, Message, Requester, identifier

MOVE = 0x0021
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.2"
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023


class Destination:
    """A storage provider that keeps commands, with what it may be told to do."""

    def __init__(
        self,
        syntaxes: tuple[str, ...] = (EXPLICIT,),
        statuses: tuple[int, ...] = (),
        quits: bool = False,
    ) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.syntaxes = syntaxes
        self.statuses = list(statuses)
        self.quits = quits
        self.stored: list[Message] = []
        self.calling = b""
        self.released = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                self._associate(Accepted(connection))

    def _associate(self, peer: Accepted) -> None:
        kind, body = peer.receive()
        assert kind == pdu.ASSOCIATE_RQ
        request = pdu.decode_associate_request(memoryview(body))
        self.calling = body[20:36]
        items = pdu.encode_item(0x10, b"1.2.840.10008.3.1.1.1")
        for context in request.contexts:
            taken = [uid for uid in context.transfer_syntaxes if uid in self.syntaxes]
            syntax = pdu.encode_item(0x40, (taken or [EXPLICIT])[0].encode())
            result = bytes((context.context_id, 0, 0 if taken else 4, 0))
            items += pdu.encode_item(0x21, result + syntax)
        items += pdu.encode_item(0x50, pdu.encode_item(0x51, (16384).to_bytes(4, "big")))
        peer.send(pdu.encode(pdu.ASSOCIATE_AC, body[:68] + items))
        try:
            while True:
                message = peer.message()
                self.stored.append(message)
                peer.answer(message, self.statuses.pop(0) if self.statuses else 0)
                if self.quits:
                    return
        except AssertionError as error:
            self.released = "5" in str(error)
            if self.released:
                peer.send(pdu.encode_release_response())


class Accepted(Requester):
    """The other side of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection


@contextmanager
def destination(*arguments: Any) -> Iterator[Destination]:
    there = Destination(*arguments)
    try:
        yield there
    finally:
        there.close()


async def move(gateway: RunningGateway, to: str, **keys: Any) -> list[Message]:
    gateway.coordinator.peers.add("TESTSCU")

    def run() -> list[Message]:
        with Requester(gateway.port) as scu:
            scu.associate([(1, STUDY_ROOT, (EXPLICIT,))])
            data = identifier(QueryRetrieveLevel="STUDY", **keys)
            scu.request(MOVE, STUDY_ROOT, data, more={0x0600: to.encode().ljust(16)})
            return scu.answers()

    return await asyncio.to_thread(run)


def counts(message: Message) -> tuple[int, ...]:
    return tuple(message.number(n) for n in (COMPLETED, FAILED, WARNING))


async def test_a_study_goes_to_the_destination(start_gateway: Start) -> None:
    gateway = await start_gateway()
    study = generate_uid()
    datasets = [ct_instance(study_uid=study, number=n, size=200) for n in range(3)]
    await hold(gateway, datasets)

    with destination() as there:
        gateway.coordinator.peers.add("DEST", there.port, move_destination=True)
        *pending, last = await move(gateway, "DEST", StudyInstanceUID=study)

    assert (last.status, counts(last)) == (0x0000, (3, 0, 0))
    assert [p.number(REMAINING) for p in pending] == [2, 1]
    assert [m.decoded().PixelData for m in there.stored] == [d.PixelData for d in datasets]
    assert there.stored[0].text(0x1030) == "TESTSCU"
    assert there.stored[0].number(0x1031) == 7
    assert there.calling.strip() == b"HEIMDALLR"
    assert there.released


async def test_a_destination_may_know_us_by_another_name(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    await hold(gateway, [dataset])

    with destination() as there:
        dimse = {"calling_ae_title": "OTHERNAME"}
        gateway.coordinator.peers.add("DEST", there.port, move_destination=True, dimse=dimse)
        answers = await move(gateway, "DEST", StudyInstanceUID=dataset.StudyInstanceUID)

    assert answers[-1].status == 0x0000
    assert there.calling.strip() == b"OTHERNAME"


async def test_an_instance_is_recoded_for_a_destination(start_gateway: Start) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    await hold(gateway, [dataset])

    with destination((IMPLICIT,)) as there:
        gateway.coordinator.peers.add("DEST", there.port, move_destination=True)
        answers = await move(gateway, "DEST", StudyInstanceUID=dataset.StudyInstanceUID)

    assert answers[-1].status == 0x0000
    assert there.stored[0].decoded(IMPLICIT).PixelData == dataset.PixelData


async def test_refused_and_warned_sub_operations_are_counted(start_gateway: Start) -> None:
    gateway = await start_gateway()
    study = generate_uid()
    datasets = [ct_instance(study_uid=study, number=n) for n in range(3)]
    await hold(gateway, datasets)

    with destination((EXPLICIT,), (0xB000, 0xC000)) as there:
        gateway.coordinator.peers.add("DEST", there.port, move_destination=True)
        answers = await move(gateway, "DEST", StudyInstanceUID=study)

    assert (answers[-1].status, counts(answers[-1])) == (0xB000, (1, 1, 1))
    failed = answers[-1].decoded().FailedSOPInstanceUIDList
    assert failed == datasets[1].SOPInstanceUID


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        (None, 0xA801),
        ({"move_destination": False}, 0xA801),
        ({"move_destination": True, "trust_zone": peers.TRUST_ZONE_OUTSIDE}, 0x0124),
    ],
    ids=["unknown", "no destination", "outside"],
)
async def test_nothing_is_opened_to_a_destination_that_may_have_nothing(
    start_gateway: Start, spec: dict[str, Any] | None, status: int
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    await hold(gateway, [dataset])

    with socket.create_server(("127.0.0.1", 0)) as there:
        there.settimeout(0.3)
        if spec is not None:
            gateway.coordinator.peers.add("DEST", there.getsockname()[1], **spec)
        [last] = await move(gateway, "DEST", StudyInstanceUID=dataset.StudyInstanceUID)

        assert last.status == status
        with pytest.raises(TimeoutError):
            there.accept()


async def test_a_destination_that_is_not_there_fails_what_was_to_go_there(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance()
    await hold(gateway, [dataset])
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
    gateway.coordinator.peers.add("DEST", port, move_destination=True)

    answers = await move(gateway, "DEST", StudyInstanceUID=dataset.StudyInstanceUID)

    assert (answers[-1].status, counts(answers[-1])) == (0xA702, (0, 1, 0))


async def test_a_destination_that_breaks_off_fails_the_rest(start_gateway: Start) -> None:
    gateway = await start_gateway()
    study = generate_uid()
    await hold(gateway, [ct_instance(study_uid=study, number=n) for n in range(3)])

    with destination((EXPLICIT,), (0x0000,), True) as there:
        gateway.coordinator.peers.add("DEST", there.port, move_destination=True)
        answers = await move(gateway, "DEST", StudyInstanceUID=study)

    assert (answers[-1].status, counts(answers[-1])) == (0xB000, (1, 2, 0))


async def test_a_move_without_destination_is_refused(start_gateway: Start) -> None:
    gateway = await start_gateway()

    [last] = await move(gateway, "", StudyInstanceUID="1.2.3")

    assert last.status == 0xA801

"""Storage commitment through real sockets: N-ACTION in, N-EVENT-REPORT out, restarts between."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from gateway.dimse.settings import DicomSettings
from tests.gateway.conftest import RunningGateway, Start, until
from tests.gateway.held import hold
from tests.support.instances import ct_instance
from tests.support.reporting_peer import ReportingPeer
from tests.support.requester import EXPLICIT, IMPLICIT, Message, Requester, encoded
from tests.support.scu import CT

PUSH_MODEL = "1.2.840.10008.1.20.1"
WELL_KNOWN = b"1.2.840.10008.1.20.1.1"
N_ACTION, N_EVENT_REPORT = 0x0130, 0x0100
Names = Sequence[tuple[str, str]]


IMPATIENT = DicomSettings(
    commitment_same_association_s=0.05,
    commitment_first_retry_s=0.1,
    commitment_longest_retry_s=0.2,
)


def action(names: Names, transaction: str = "", syntax: str = EXPLICIT) -> bytes:
    """Return the action information of a request."""
    dataset = Dataset()
    dataset.TransactionUID = transaction or generate_uid()
    dataset.ReferencedSOPSequence = []
    for sop_class, instance in names:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        dataset.ReferencedSOPSequence.append(item)
    return encoded(dataset, syntax)


def ask(scu: Requester, data: bytes, *, kind: int = 1, instance: bytes = WELL_KNOWN) -> int:
    """Send a request and return the status of its response."""
    more = {0x1001: instance, 0x1008: struct.pack("<H", kind)}
    scu.request(N_ACTION, PUSH_MODEL, data, more=more)
    return scu.message().status


async def told(gateway: RunningGateway, data: bytes, syntax: str = EXPLICIT) -> tuple[int, Message]:
    """Return the status of a request and the report that follows on the same association."""

    def run() -> tuple[int, Message]:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (syntax,))])
            status = ask(scu, data)
            report = scu.message()
            scu.answer(report)
            scu.release()
            return status, report

    return await asyncio.to_thread(run)


def reasons(report: Message, syntax: str = EXPLICIT) -> dict[str, int]:
    failed = report.decoded(syntax).get("FailedSOPSequence", [])
    return {item.ReferencedSOPInstanceUID: item.FailureReason for item in failed}


def kept(gateway: RunningGateway) -> list[str]:
    return [path.name for path in (gateway.journal / "commitments").iterdir()]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
async def test_what_is_stored_is_committed_to(start_gateway: Start, syntax: str) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    datasets = [ct_instance(number=n) for n in range(3)]
    await hold(gateway, datasets)
    transaction = generate_uid()
    names = [(CT, d.SOPInstanceUID) for d in datasets]

    status, report = await told(gateway, action(names, transaction, syntax), syntax)

    event = report.decoded(syntax)
    assert status == 0x0000
    assert (report.number(0x0100), report.number(0x1002)) == (N_EVENT_REPORT, 1)
    assert report.elements[0x1000].strip(b"\0") == WELL_KNOWN
    assert event.TransactionUID == transaction
    assert event.RetrieveAETitle == "HEIMDALLR"
    assert [i.ReferencedSOPInstanceUID for i in event.ReferencedSOPSequence] == [
        d.SOPInstanceUID for d in datasets
    ]
    assert "FailedSOPSequence" not in event
    await until(lambda: kept(gateway) == [])
    assert gateway.coordinator.audit.outcomes() == [("/dicom.Dimse/N_ACTION", "ae.TESTSCU", "OK")]


async def test_more_than_may_wait_is_refused(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=DicomSettings(commitment_instances=2))
    names = [(CT, f"1.2.3.{number}") for number in range(3)]

    def run() -> int:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            return ask(scu, action(names))

    assert await asyncio.to_thread(run) == 0x0213
    assert kept(gateway) == []


async def test_what_is_not_as_it_was_is_told_with_its_reason(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    good, other, damaged, gone = (ct_instance(number=n) for n in range(4))
    await hold(gateway, [good, other, damaged, gone])
    for dataset in (damaged, gone):
        sha256 = gateway.intake.rows[dataset.SOPInstanceUID]
        path = gateway.blobs / sha256[:2] / sha256
        if dataset is gone:
            path.unlink()
        else:
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    names = [
        (CT, good.SOPInstanceUID),
        ("1.2.840.10008.5.1.4.1.1.4", other.SOPInstanceUID),
        (CT, damaged.SOPInstanceUID),
        (CT, gone.SOPInstanceUID),
        (CT, "1.2.3.4.5"),
    ]

    _, report = await told(gateway, action(names))

    assert report.number(0x1002) == 2
    assert reasons(report) == {
        other.SOPInstanceUID: 0x0119,
        damaged.SOPInstanceUID: 0x0110,
        gone.SOPInstanceUID: 0x0110,
        "1.2.3.4.5": 0x0112,
    }
    [committed] = report.decoded().ReferencedSOPSequence
    assert committed.ReferencedSOPInstanceUID == good.SOPInstanceUID


async def test_a_peer_that_went_away_is_called_where_it_is_registered(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    dataset = ct_instance()
    await hold(gateway, [dataset])
    transaction = generate_uid()

    def leave() -> None:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            assert ask(scu, action([(CT, dataset.SOPInstanceUID)], transaction)) == 0
            scu.release()

    async with ReportingPeer() as peer:
        gateway.coordinator.peers.add("TESTSCU", peer.port)
        await asyncio.to_thread(leave)
        report = await asyncio.to_thread(peer.report)

    assert report.number(0x1002) == 1
    assert report.decoded(peer.syntax).TransactionUID == transaction
    assert peer.roles == {PUSH_MODEL: (False, True)}
    await until(lambda: kept(gateway) == [])


async def test_a_report_that_is_not_taken_is_sent_again(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    dataset = ct_instance()
    await hold(gateway, [dataset])

    def leave() -> None:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            assert ask(scu, action([(CT, dataset.SOPInstanceUID)])) == 0

    async with ReportingPeer(statuses=[0x0110]) as peer:
        gateway.coordinator.peers.add("TESTSCU", peer.port)
        await asyncio.to_thread(leave)
        first = await asyncio.to_thread(peer.report)
        second = await asyncio.to_thread(peer.report)

    assert first.data_set == second.data_set
    await until(lambda: kept(gateway) == [])


async def test_a_restart_still_reports(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    dataset = ct_instance()
    await hold(gateway, [dataset])
    located = gateway.coordinator.archive.located
    # Nothing can be judged before the restart.
    gateway.coordinator.archive.failure = grpc.StatusCode.UNAVAILABLE

    def leave() -> None:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            assert ask(scu, action([(CT, dataset.SOPInstanceUID)])) == 0

    await asyncio.to_thread(leave)
    assert len(kept(gateway)) == 1
    await gateway.stop()

    async with ReportingPeer() as peer:
        again = await start_gateway(online=False, dicom=IMPATIENT)
        again.coordinator.archive.located = located
        again.coordinator.peers.add("TESTSCU", peer.port)
        await again.server.start()
        report = await asyncio.to_thread(peer.report)

    assert report.number(0x1002) == 1
    await until(lambda: kept(again) == [])


async def test_nothing_is_reported_while_the_journal_may_hold_it(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    dataset = ct_instance()
    await hold(gateway, [dataset])
    await gateway.server.stop()
    await until(lambda: not gateway.gateway.intake.is_online)

    def leave() -> None:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            assert ask(scu, action([(CT, dataset.SOPInstanceUID)])) == 0

    async with ReportingPeer() as peer:
        gateway.coordinator.peers.add("TESTSCU", peer.port)
        await asyncio.to_thread(leave)
        await asyncio.sleep(0.3)
        assert peer.reports.empty()
        await gateway.server.start()
        report = await asyncio.to_thread(peer.report)

    assert report.number(0x1002) == 1


async def test_a_transaction_that_is_in_use_is_told(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    first, second = ct_instance(number=1), ct_instance(number=2)
    await hold(gateway, [first, second])
    gateway.coordinator.archive.failure = grpc.StatusCode.UNAVAILABLE
    transaction = generate_uid()

    def leave() -> None:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            assert ask(scu, action([(CT, first.SOPInstanceUID)], transaction)) == 0

    await asyncio.to_thread(leave)

    _, report = await told(gateway, action([(CT, second.SOPInstanceUID)], transaction))

    assert report.number(0x1002) == 2
    assert reasons(report) == {second.SOPInstanceUID: 0x0131}


async def test_nothing_is_reported_to_an_address_that_is_outside(start_gateway: Start) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)
    dataset = ct_instance()
    await hold(gateway, [dataset])

    def leave() -> None:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            assert ask(scu, action([(CT, dataset.SOPInstanceUID)])) == 0

    async with ReportingPeer() as peer:
        gateway.coordinator.peers.add("TESTSCU", peer.port, trust_zone=2)
        await asyncio.to_thread(leave)
        await until(lambda: kept(gateway) == [])

        assert peer.reports.empty()


@pytest.mark.parametrize(
    ("data", "options", "status"),
    [
        (action([(CT, "1.2.3")]), {"kind": 2}, 0x0123),
        (action([(CT, "1.2.3")]), {"instance": b"1.2.3\0"}, 0x0112),
        (action([]), {}, 0x0115),
        (action([(CT, "1.2.3")])[:-3], {}, 0x0115),
        (action([(CT, "1.2.3"), ("1.2", "1.2.3")]), {}, 0x0115),
        (b"", {}, 0x0115),
    ],
    ids=["action", "instance", "no references", "cut", "two classes", "no data set"],
)
async def test_a_request_that_is_none_is_refused(
    start_gateway: Start, data: bytes, options: dict[str, Any], status: int
) -> None:
    gateway = await start_gateway(dicom=IMPATIENT)

    def run() -> int:
        with Requester(gateway.port) as scu:
            scu.associate([(1, PUSH_MODEL, (EXPLICIT,))])
            return ask(scu, data, **options)

    assert await asyncio.to_thread(run) == status
    assert kept(gateway) == []

"""The way to the coordinator: straight when it answers, through the journal when it does not."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from tests.gateway.conftest import RunningGateway, Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.scu import Scu

STUDY = "1.2.826.0.1.3680043.8.498.1"


def send_many(port: int, count: int, *, seed: int = 0, size: int = 64) -> dict[str, int]:
    """Send a study over one association; return the status by SOP Instance UID."""
    statuses: dict[str, int] = {}
    with Scu(port) as scu:
        scu.associate()
        for number in range(count):
            dataset = ct_instance(study_uid=STUDY, number=number, seed=seed, size=size)
            statuses[dataset.SOPInstanceUID] = scu.store(encoded(dataset), dataset.SOPInstanceUID)
        scu.release()
    return statuses


def segments(gateway: RunningGateway) -> list[Path]:
    return sorted(gateway.journal.glob("*.journal"))


async def test_while_the_coordinator_is_away_the_journal_answers_for_it(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(online=False)

    statuses = await asyncio.to_thread(send_many, gateway.port, 10)

    assert set(statuses.values()) == {0x0000}
    assert gateway.intake.rows == {}
    assert segments(gateway)


async def test_the_journal_is_sent_on_once_each_in_order(start_gateway: Start) -> None:
    gateway = await start_gateway(online=False)
    statuses = await asyncio.to_thread(send_many, gateway.port, 10)
    await until(lambda: bool(segments(gateway)))

    await gateway.server.start()
    await until(lambda: bool(gateway.intake.closed) and not segments(gateway))

    assert set(gateway.intake.rows) == set(statuses)
    assert gateway.intake.duplicates == 0
    assert [event.split()[0] for event in gateway.intake.events] == ["instance"] * 10 + ["closed"]


async def test_a_coordinator_that_comes_and_goes_gets_everything(start_gateway: Start) -> None:
    gateway = await start_gateway()
    sending = asyncio.create_task(asyncio.to_thread(send_many, gateway.port, 120, size=128))

    for _ in range(3):
        await asyncio.sleep(0.15)
        await gateway.server.stop()
        await asyncio.sleep(0.1)
        await gateway.server.start()
    statuses = await sending
    await until(lambda: bool(gateway.intake.closed) and not segments(gateway))

    assert set(statuses.values()) == {0x0000}
    assert set(gateway.intake.rows) == set(statuses)
    assert gateway.intake.conflicts == []
    assert gateway.intake.events[-1].startswith("closed")


async def test_a_coordinator_that_stops_answering_counts_as_away(start_gateway: Start) -> None:
    gateway = await start_gateway(answer_timeout_s=0.5)
    gateway.intake.silent = True

    statuses = await asyncio.to_thread(send_many, gateway.port, 3)

    assert set(statuses.values()) == {0x0000}
    assert segments(gateway)
    gateway.intake.silent = False
    await until(lambda: set(gateway.intake.rows) == set(statuses))


async def test_a_full_journal_is_a700(start_gateway: Start) -> None:
    gateway = await start_gateway(online=False, journal_bytes=1 << 16)
    long_text = "x" * 1000

    def fill() -> list[int]:
        statuses = []
        with Scu(gateway.port) as scu:
            scu.associate()
            for number in range(1500):
                dataset = ct_instance(number=number, size=4)
                dataset.StationName = long_text[:16]
                dataset.ProtocolName = long_text[:64]
                statuses.append(scu.store(encoded(dataset), dataset.SOPInstanceUID))
                if statuses[-1] != 0:
                    break
        return statuses

    statuses = await asyncio.to_thread(fill)

    assert statuses[-1] == 0xA700
    assert set(statuses[:-1]) == {0x0000}
    await gateway.server.start()
    await until(lambda: len(gateway.intake.rows) == len(statuses) - 1, 20)
    await until(lambda: not segments(gateway))
    after = await asyncio.to_thread(send_many, gateway.port, 1)
    assert set(after.values()) == {0x0000}


async def test_an_instance_that_breaks_the_stream_does_not_hold_up_the_rest(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(online=False)
    statuses = await asyncio.to_thread(send_many, gateway.port, 20)
    gateway.intake.break_on = list(statuses)[7]

    await gateway.server.start()
    await until(lambda: bool(gateway.intake.closed) and not segments(gateway), 20)

    assert set(gateway.intake.rows) == set(statuses) - {gateway.intake.break_on}
    kept = list(gateway.quarantine.glob("*.dcm"))
    assert len(kept) == 1
    assert hashlib.sha256(kept[0].read_bytes()).hexdigest() == kept[0].stem


async def test_what_the_coordinator_refuses_later_is_in_quarantine(start_gateway: Start) -> None:
    gateway = await start_gateway(online=False)
    await asyncio.to_thread(send_many, gateway.port, 1)
    gateway.intake.reject_rule = "not wanted"

    await gateway.server.start()
    await until(lambda: not segments(gateway))

    assert len(list(gateway.quarantine.glob("*.dcm"))) == 1


async def test_a_refusal_that_will_pass_costs_no_acknowledged_instance(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(online=False)
    statuses = await asyncio.to_thread(send_many, gateway.port, 3)
    gateway.intake.reject_rule = "too much at once"
    gateway.intake.reject_reason = ErrorReason.ERROR_REASON_LIMIT_EXCEEDED

    await gateway.server.start()
    await asyncio.sleep(0.5)
    live = await asyncio.to_thread(send_many, gateway.port, 1, seed=1)
    gateway.intake.reject_rule = ""
    await until(lambda: not segments(gateway), 20)

    assert set(live.values()) <= {0x0000, 0xA700}
    assert set(statuses) <= set(gateway.intake.rows)
    assert not list(gateway.quarantine.glob("*.dcm"))


@pytest.mark.parametrize("size", [64, 1200])
async def test_chunks_carry_the_bytes_where_no_store_is_shared(
    start_gateway: Start, size: int
) -> None:
    gateway = await start_gateway(content="chunks")
    dataset = ct_instance(size=size)

    def send() -> int:
        with Scu(gateway.port) as scu:
            scu.associate()
            return scu.store(encoded(dataset), dataset.SOPInstanceUID)

    assert await asyncio.to_thread(send) == 0x0000
    sha256 = gateway.intake.rows[dataset.SOPInstanceUID]
    assert gateway.intake.received[sha256].endswith(encoded(dataset))
    assert not (gateway.blobs / sha256[:2] / sha256).exists()


async def test_chunks_go_through_the_journal_too(start_gateway: Start) -> None:
    gateway = await start_gateway(online=False, content="chunks")
    statuses = await asyncio.to_thread(send_many, gateway.port, 5, size=900)

    await gateway.server.start()
    await until(lambda: bool(gateway.intake.closed) and not segments(gateway))

    assert set(gateway.intake.rows) == set(statuses)
    assert len(gateway.intake.received) == 5
    assert not list(gateway.blobs.glob("??/*"))

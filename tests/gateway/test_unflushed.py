"""Who flushes what a peer sent: the coordinator beside us when few instances come, else we."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway.conftest import RunningGateway, Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.scu import Scu

SIZE = 256


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files in the order in which they were flushed by this process."""
    names: list[str] = []
    real = os.fdatasync

    def note(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", note)
    return names


def _send(port: int, numbers: list[int]) -> list[int]:
    statuses = []
    with Scu(port) as scu:
        scu.associate()
        for number in numbers:
            dataset = ct_instance(
                study_uid="1.2.3",
                series_uid="1.2.3.0",
                sop_instance_uid=f"1.2.3.0.{number}",
                number=number,
                size=SIZE,
            )
            statuses.append(scu.store(encoded(dataset), dataset.SOPInstanceUID))
        scu.release()
    return statuses


def _contents(gateway: RunningGateway) -> list[str | None]:
    return [instance.WhichOneof("content") for instance in gateway.intake.instances]


async def test_a_lone_sender_s_bytes_are_left_to_the_coordinator_to_flush(
    start_gateway: Start, flushed: list[str]
) -> None:
    gateway = await start_gateway()

    statuses = await asyncio.to_thread(_send, gateway.port, [1, 2, 3])

    assert statuses == [0x0000] * 3
    assert _contents(gateway) == ["written"] * 3
    assert not flushed
    assert not list((gateway.blobs / "incoming").iterdir())


async def test_bytes_that_are_there_already_are_flushed_before_they_replace_them(
    start_gateway: Start, flushed: list[str]
) -> None:
    gateway = await start_gateway()
    await asyncio.to_thread(_send, gateway.port, [1])

    assert await asyncio.to_thread(_send, gateway.port, [1]) == [0x0000]

    assert _contents(gateway) == ["written", "staged"]
    assert len(flushed) == 1
    assert gateway.intake.duplicates == 1


async def test_of_many_senders_each_instance_is_flushed_by_us(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.intake.delay_s = 0.05
    with ThreadPoolExecutor(8) as pool:
        loop = asyncio.get_running_loop()
        sent = [
            loop.run_in_executor(pool, _send, gateway.port, [8 * n + k for k in range(6)])
            for n in range(8)
        ]
        statuses = await asyncio.gather(*sent)

    assert all(status == 0x0000 for part in statuses for status in part)
    kinds = set(_contents(gateway))
    assert "staged" in kinds
    assert len(gateway.intake.rows) == 48


async def test_what_was_only_written_is_flushed_before_it_is_journaled(
    start_gateway: Start, flushed: list[str]
) -> None:
    gateway = await start_gateway(answer_timeout_s=0.3)
    gateway.intake.silent = True

    # The coordinator takes it and says nothing: the journal has to answer for it.
    assert await asyncio.to_thread(_send, gateway.port, [1]) == [0x0000]

    journal = [name for name in flushed if name.endswith(".journal")]
    blobs = [name for name in flushed if len(name) == 64]
    assert len(blobs) == 1
    assert journal
    assert flushed.index(blobs[0]) < flushed.index(journal[0])
    gateway.intake.silent = False
    await until(lambda: len(gateway.intake.rows) == 1)
    assert _contents(gateway) == ["staged"]


async def test_where_the_coordinator_is_on_another_machine_we_flush(
    start_gateway: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await start_gateway()
    monkeypatch.setattr(gateway.gateway.intake, "_flush", None)

    assert await asyncio.to_thread(_send, gateway.port, [1]) == [0x0000]

    assert _contents(gateway) == ["staged"]


async def test_an_instance_that_is_refused_after_it_was_begun_leaves_no_file(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    dataset = ct_instance(size=SIZE)
    data = encoded(dataset)[:-1000]

    def cut(port: int) -> int:
        with Scu(port) as scu:
            scu.associate()
            return scu.store(data, dataset.SOPInstanceUID)

    assert await asyncio.to_thread(cut, gateway.port) == 0xC000

    assert not list(gateway.blobs.glob("??/*"))
    assert not list((gateway.blobs / "incoming").iterdir())
    assert len(list(gateway.quarantine.glob("*.dcm"))) == 1
    assert not gateway.intake.instances

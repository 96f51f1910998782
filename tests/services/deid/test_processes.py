"""Processes that die, hang or are left in the middle harm one object and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydicom.dataset import Dataset

from tests.support.deid_service import running_deid
from tests.support.instances import ct_instance, part10
from tests.support.interceptor_calls import eventually


def _workers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if any("services.deid.worker" in part for part in child.cmdline())
    ]


@pytest.fixture
def stopped() -> Iterator[list[psutil.Process]]:
    """Processes that hang until the test is over."""
    found: list[psutil.Process] = []
    yield found
    for process in found:
        if process.is_running():
            os.kill(process.pid, signal.SIGKILL)


async def test_a_process_that_was_killed_is_replaced_and_its_object_tried_again(
    tmp_path: Path, ct: Dataset
) -> None:
    async with running_deid(tmp_path, processes=1) as deid:
        sources = await deid.stored(part10(ct))
        await deid.series(sources)
        [worker] = _workers()
        worker.kill()

        instances, _ = await deid.series(sources)

        assert instances[0].HasField("released")
        assert _workers() != [worker]


@pytest.mark.soak  # it takes as long as an object may
async def test_a_process_that_hangs_is_ended_and_its_object_held(
    tmp_path: Path, ct: Dataset, stopped: list[psutil.Process]
) -> None:
    async with running_deid(tmp_path, processes=1, seconds=20) as deid:
        sources = await deid.stored(part10(ct), part10(ct_instance(size=16)))
        await deid.series(sources)
        [worker] = _workers()
        stopped.append(worker)
        worker.suspend()

        first, outcome = await deid.series(sources[:1])
        again, _ = await deid.series(sources)

        assert first[0].findings[0].code == "TIME_LIMIT"
        assert not first[0].HasField("released")
        assert (outcome.released_count, outcome.held_count) == (0, 1)
        assert [one.HasField("released") for one in again] == [True, True]


async def test_a_call_that_is_cancelled_leaves_nothing_and_stops_its_work(
    tmp_path: Path, stopped: list[psutil.Process]
) -> None:
    async with running_deid(tmp_path, processes=1) as deid:
        files = [part10(ct_instance(size=16, seed=number)) for number in range(8)]
        sources = await deid.stored(*files)
        before = sorted(deid.blobs.folder.glob("??/*"))
        await deid.series(sources[:1])
        after_one = sorted(deid.blobs.folder.glob("??/*"))
        [worker] = _workers()
        stopped.append(worker)
        worker.suspend()
        call = asyncio.create_task(deid.series(sources[1:]))
        await asyncio.sleep(0.3)

        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await eventually(lambda: not worker.is_running())
        again, _ = await deid.series(sources)

        assert len(after_one) == len(before) + 2  # the object and its certificate
        assert all(one.HasField("released") for one in again)
        assert not list((deid.blobs.folder / "incoming").iterdir())

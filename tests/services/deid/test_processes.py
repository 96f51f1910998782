"""Processes that die, hang or are left in the middle harm one object and nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from obstore.store import MemoryStore
from pydicom.dataset import Dataset

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from services.runtime.object_blobs import ObjectBlobs
from tests.support.deid_service import PROJECT, running_deid
from tests.support.instances import ct_instance, part10
from tests.support.interceptor_calls import eventually


def _workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return any("services.deid.worker" in part for part in process.cmdline())
    except psutil.NoSuchProcess:  # it ended just now
        return False


@pytest.fixture
def stopped() -> Iterator[list[psutil.Process]]:
    """Processes that hang until the test is over."""
    found: list[psutil.Process] = []
    yield found
    for process in found:
        if process.is_running():
            os.kill(process.pid, signal.SIGKILL)


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


async def test_whatever_is_killed_no_object_is_half_written_and_the_next_call_finishes(
    tmp_path: Path,
) -> None:
    files = [part10(ct_instance(size=256, seed=number)) for number in range(24)]
    async with running_deid(tmp_path, processes=2) as deid:
        sources = await deid.stored(*files)
        await deid.series(sources[:2])
        killed = 0
        call = asyncio.create_task(deid.series(sources))
        while not call.done() and killed < 6:
            for worker in _workers():
                worker.kill()
                killed += 1
            await asyncio.sleep(0.2)
        first, _ = await call

        again, outcome = await deid.series(sources)

        assert killed > 0
        codes = {finding.code for one in first for finding in one.findings}
        assert codes <= {"PROCESS_DIED"}
        assert outcome.released_count == len(files)
        for path in deid.blob_folder.glob("??/*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        released = [one.released for one in first if one.HasField("released")]
        assert all(ref in [one.released for one in again] for ref in released)


async def test_blobs_may_lie_in_an_object_store(tmp_path: Path, ct: Dataset) -> None:
    async with running_deid(tmp_path, ObjectBlobs(MemoryStore()), processes=1) as deid:
        sources = await deid.stored(part10(ct), b"no DICOM")

        instances, _ = await deid.series(sources)
        request = pb.CompareInstanceRequest(project_id=PROJECT, content=sources[0].content)
        comparison = await deid.stub.CompareInstance(request)

        assert [one.HasField("released") for one in instances] == [True, False]
        released = await deid.read(instances[0].released)
        assert b"KANARIENVOGEL" not in released
        assert comparison.changes
        assert deid.left() == []


async def test_a_call_that_is_cancelled_leaves_nothing_and_stops_its_work(
    tmp_path: Path, stopped: list[psutil.Process]
) -> None:
    async with running_deid(tmp_path, processes=1) as deid:
        files = [part10(ct_instance(size=16, seed=number)) for number in range(8)]
        sources = await deid.stored(*files)
        before = sorted(deid.blob_folder.glob("??/*"))
        await deid.series(sources[:1])
        after_one = sorted(deid.blob_folder.glob("??/*"))
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
        assert not list((deid.blob_folder / "incoming").iterdir())

"""The network parts two processes: each side says so or waits, and nothing is missing after."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from services.cli.stack.process import State
from services.dicom.part10 import file_meta
from services.dicom.phantoms.series import PhantomStudy, phantom_study
from tests.integration.test_kill_soak import drained, whole
from tests.support.instances import CT, ct_instance, encoded
from tests.support.running_stack import RunningStack
from tests.support.scu import EXPLICIT, Scu
from tests.support.sender import Modality
from tests.support.socket_partition import SocketPartition
from tests.support.studies import operator_channel, settled, workflow

pytestmark = [
    pytest.mark.soak,
    pytest.mark.stack,
    pytest.mark.triton,
    pytest.mark.timeout(900),
    # pynetdicom leaves the socket of a refused connection to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

WORKERS: Final = ("conversion", "analysis", "reporting")
PARTED_S: Final = 8.0
ANSWERED_S: Final = 60.0
SMALL: Final = (24, 64, 64)
# A coordinator that is silent for this long counts as away.
PATIENCE: Final = {"HEIMDALLR_GATEWAY_ANSWER_TIMEOUT_S": "2"}


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with RunningStack(environ=PATIENCE) as running:
        yield running


@pytest.fixture(scope="module")
def network(stack: RunningStack) -> Iterator[dict[str, SocketPartition]]:
    """The places where the network may part, each between a server and all who call it."""
    run = Path(stack.state.run)
    with ExitStack() as places:
        (database,) = (run / "pg").glob(".s.PGSQL.*[0-9]")
        parts = {"postgres": places.enter_context(SocketPartition(database))}
        _start_anew(stack, "coordinator")
        for name in ("coordinator", *WORKERS):
            parts[name] = places.enter_context(SocketPartition(run / f"{name}.sock"))
        _start_anew(stack, "envoy", "gateway")
        yield parts


def _start_anew(stack: RunningStack, *names: str) -> None:
    """Kill processes and wait for them, which connect anew, through what stands there now."""
    before = {name: stack.pid(name) for name in names}
    for name in names:
        stack.kill(name)
    deadline = time.monotonic() + ANSWERED_S
    while time.monotonic() < deadline:
        ready = {p.name: p.pid for p in stack.state.processes if p.state is State.READY}
        if all(ready.get(name) not in (None, pid) for name, pid in before.items()):
            return
        time.sleep(0.1)
    raise AssertionError(f"{names} did not come back")


@pytest.mark.parametrize("place", ["coordinator", "postgres"])
async def test_instances_are_taken_while_nobody_can_index_them(
    stack: RunningStack,
    network: dict[str, SocketPartition],
    place: str,
    figure: Callable[[str], None],
) -> None:
    with network[place].parted():
        began = time.monotonic()
        sent = await asyncio.to_thread(_send, stack.dicom_port, 20)
        seconds = time.monotonic() - began

    async with operator_channel(stack) as channel:
        found = await drained(channel, sorted(sent))
    assert {uid: blob.sha256 for uid, blob in found.items()} == sent
    assert [blob.sha256 for blob in found.values() if not whole(stack.data, blob.sha256)] == []
    figure(f"parted from {place}: {len(sent)} instances acknowledged in {seconds:.1f} s, 0 lost")


@pytest.mark.parametrize("worker", WORKERS)
async def test_a_study_waits_for_a_worker_that_cannot_be_reached_and_is_finished_once(
    stack: RunningStack, network: dict[str, SocketPartition], worker: str
) -> None:
    study = PhantomStudy(patient_id=f"PARTED-{worker}")
    files = phantom_study(7, study, shape=SMALL)
    modality = Modality(stack.dicom_port, files, time.monotonic() + ANSWERED_S)

    async with operator_channel(stack) as channel:
        with network[worker].parted():
            modality.start()
            await asyncio.to_thread(modality.join, ANSWERED_S)
            with pytest.raises(TimeoutError):
                await settled(channel, study.study_instance_uid, PARTED_S)
        finished = await settled(channel, study.study_instance_uid)
        work = await workflow(channel, finished.study_id)

    assert len(modality.acknowledged) == len(files) == finished.instance_count
    assert finished.state == archive_pb.STUDY_STATE_READY
    done = [[a for a in stage.attempts if a.outcome == "done"] for stage in work.stages]
    assert max(len(attempts) for attempts in done) == 1


async def test_a_picture_is_refused_soon_and_drawn_afterwards(
    stack: RunningStack, network: dict[str, SocketPartition]
) -> None:
    dataset = ct_instance(size=64)
    await asyncio.to_thread(_store, stack.dicom_port, [dataset])
    address = (
        f"http://127.0.0.1:{stack.http_port}/dicom-web/studies/{dataset.StudyInstanceUID}"
        f"/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}/rendered"
    )
    token = (Path(stack.state.run) / "tokens/operator.jwt").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Accept": "image/png"}
    limit = aiohttp.ClientTimeout(ANSWERED_S)

    async with aiohttp.ClientSession(headers=headers, timeout=limit) as session:
        with network["conversion"].parted():
            async with session.get(address) as answer:
                refused, problem = answer.status, await answer.json(content_type=None)
        drawn = await _until_drawn(session, address)

    assert refused in (503, 504)
    assert problem["status"] == refused
    assert drawn.startswith(b"\x89PNG")


async def _until_drawn(session: aiohttp.ClientSession, address: str) -> bytes:
    async with asyncio.timeout(ANSWERED_S):
        while True:
            async with session.get(address) as answer:
                body = await answer.read()
                if answer.status == 200:
                    return body
            await asyncio.sleep(0.5)


def _send(port: int, count: int) -> dict[str, str]:
    """Send a study over one association and return the hash of each acknowledged file."""
    study, series = generate_uid(), generate_uid()
    datasets = [
        ct_instance(study_uid=study, series_uid=series, size=64, number=number)
        for number in range(count)
    ]
    return _store(port, datasets)


def _store(port: int, datasets: list[Dataset]) -> dict[str, str]:
    sent = {}
    with Scu(port, timeout_s=ANSWERED_S) as scu:
        scu.associate()
        for dataset in datasets:
            uid, data = str(dataset.SOPInstanceUID), encoded(dataset)
            assert scu.store(data, uid) == 0
            sent[uid] = hashlib.sha256(file_meta(CT, uid, EXPLICIT) + data).hexdigest()
        scu.release()
    return sent

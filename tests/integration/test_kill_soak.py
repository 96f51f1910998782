"""Hundreds of deaths under load: all that was acknowledged is there once, with the bytes sent.

HEIMDALLR_KILLS says how many, 200 unless told otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import pytest
from pydicom.uid import generate_uid

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from services.dicom.part10 import file_meta
from services.runtime.client import MeshChannel
from tests.support.instances import CT, ct_instance, encoded
from tests.support.running_stack import RunningStack
from tests.support.scu import EXPLICIT, Scu
from tests.support.studies import operator_channel

pytestmark = [pytest.mark.soak, pytest.mark.stack, pytest.mark.timeout(7200)]

KILLS: Final = int(os.environ.get("HEIMDALLR_KILLS", "200"))
SENDERS: Final = 4
INSTANCES_A_STUDY: Final = 40
DRAINED_S: Final = 180.0
LEFT_OUT: Final = ("conversion", "analysis", "reporting", "deid", "triton")
# A process that dies every few seconds would wait a quarter of a minute for its next start.
IMPATIENT: Final = (
    "-c",
    "from services.cli.stack import process; process.LONGEST_BACKOFF_S = 0.5; "
    "from services.cli.__main__ import main; main()",
)


@dataclass
class Sender(threading.Thread):
    """Sends instance after instance, each until it is acknowledged, and notes its hash."""

    port: int
    seed: int
    stopping: threading.Event
    acknowledged: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Send until told to stop."""
        number = 0
        while not self.stopping.is_set():
            uid, data = self._instance(number)
            while not self.stopping.is_set() and not self._sent(uid, data):
                time.sleep(0.1)
            number += 1

    def _instance(self, number: int) -> tuple[str, bytes]:
        if number % INSTANCES_A_STUDY == 0:
            self._study, self._series = generate_uid(), generate_uid()
        dataset = ct_instance(
            study_uid=self._study,
            series_uid=self._series,
            size=64,
            number=number,
            seed=self.seed,
        )
        return str(dataset.SOPInstanceUID), encoded(dataset)

    def _sent(self, uid: str, data: bytes) -> bool:
        with suppress(OSError, AssertionError, IndexError):
            with Scu(self.port, timeout_s=30) as scu:
                scu.associate()
                if scu.store(data, uid) != 0:
                    return False
            whole = file_meta(CT, uid, EXPLICIT) + data
            self.acknowledged[uid] = hashlib.sha256(whole).hexdigest()
            return True
        return False


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    left_out = tuple(word for name in LEFT_OUT for word in ("--without", name))
    with RunningStack(program=IMPATIENT, arguments=left_out) as running:
        yield running


async def test_nothing_acknowledged_is_lost_or_doubled_however_often_processes_die(
    stack: RunningStack, figure: Callable[[str], None]
) -> None:
    stopping = threading.Event()
    senders = [Sender(stack.dicom_port, seed, stopping) for seed in range(SENDERS)]
    chance = random.Random(40)  # noqa: S311 - moments of death, not secrets
    for sender in senders:
        sender.start()

    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 2.5))
        await asyncio.to_thread(_kill_one, stack, chance)
    stopping.set()
    for sender in senders:
        await asyncio.to_thread(sender.join, 120)

    sent = {uid: sha for sender in senders for uid, sha in sender.acknowledged.items()}
    assert len(sent) > KILLS
    async with operator_channel(stack) as channel:
        found = await drained(channel, sorted(sent))
    assert {uid: blob.sha256 for uid, blob in found.items()} == sent
    assert [blob.sha256 for blob in found.values() if not whole(stack.data, blob.sha256)] == []
    figure(f"kill -9 of {KILLS} processes: {len(sent)} acknowledged instances, 0 lost, 0 doubled")


def _kill_one(stack: RunningStack, chance: random.Random) -> None:
    """Kill the gateway or one of its processes, the coordinator, or the whole database."""
    victim = chance.choice(("gateway", "gateway", "coordinator", "coordinator", "postgres"))
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process = psutil.Process(stack.pid(victim))
        family = [process, *process.children(recursive=True)]
        if victim == "gateway":
            os.kill(chance.choice(family).pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)


async def drained(channel: MeshChannel, uids: list[str]) -> dict[str, BlobRef]:
    """Return what the archive has of the instances once it has all, or when time is over."""
    deadline = time.monotonic() + DRAINED_S
    while True:
        with suppress(Exception):  # the last kill may still be felt
            found = await _located(channel, uids)
            if len(found) == len(uids) or time.monotonic() > deadline:
                return found
        assert time.monotonic() < deadline + 60
        await asyncio.sleep(1)


async def _located(channel: MeshChannel, uids: list[str]) -> dict[str, BlobRef]:
    found: list[archive_pb.LocatedInstance] = []
    for at in range(0, len(uids), 5000):
        request = archive_pb.LocateInstancesRequest(sop_instance_uids=uids[at : at + 5000])
        async for batch in ArchiveServiceStub(channel).LocateInstances(request):
            found += batch.instances
    rows = {instance.sop_instance_uid: instance.blob for instance in found}
    assert len(rows) == len(found), "an instance has two rows"
    return rows


def whole(data: Path, sha256: str) -> bool:
    (path,) = (data / "blobs").rglob(f"{sha256}*")
    return hashlib.sha256(path.read_bytes()).hexdigest() == sha256

"""The coordinator away while instances come: the journal carries them, and empties itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest

from gateway.intake_stream import IntakeStream
from gateway.journal import Journal
from gateway.quarantine import Quarantine
from gateway.replay import Replay
from gateway.settings import GatewaySettings
from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from heimdallr.intake.v1 import intake_service_pb2 as pb
from heimdallr.intake.v1.intake_service_pb2_grpc import IntakeServiceStub
from services.runtime.local_blobs import LocalBlobs
from tests.gateway.conftest import Start, until
from tests.support.instances import ct_instance, encoded
from tests.support.intake import IntakeDouble, IntakeServer
from tests.support.scu import Scu

SENDERS = 4
EACH = 15
FULL_LOAD_PER_S = 650
MINUTES = 10
AT_ONCE = 256


def _send(port: int, sender: int) -> dict[str, int]:
    statuses = {}
    with Scu(port) as scu:
        scu.associate()
        for number in range(EACH):
            uid = f"1.2.{sender}.0.{number}"
            dataset = ct_instance(
                study_uid=f"1.2.{sender}",
                series_uid=f"1.2.{sender}.0",
                sop_instance_uid=uid,
                number=number,
            )
            statuses[uid] = scu.store(encoded(dataset), uid)
        scu.release()
    return statuses


async def test_several_senders_are_answered_by_the_journal_and_drained_in_their_order(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway(online=False)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(SENDERS) as pool:
        parts = await asyncio.gather(
            *(loop.run_in_executor(pool, _send, gateway.port, n) for n in range(SENDERS))
        )

    await gateway.server.start()
    await until(lambda: len(gateway.intake.closed) == SENDERS)
    await until(lambda: not list(gateway.journal.glob("*.journal")))

    statuses = {uid: status for part in parts for uid, status in part.items()}
    assert set(statuses.values()) == {0x0000}
    assert set(gateway.intake.rows) == set(statuses)
    assert gateway.intake.duplicates == 0
    arrived = [instance.attributes for instance in gateway.intake.instances]
    for sender in range(SENDERS):
        numbers = [a.instance_number for a in arrived if a.study_instance_uid == f"1.2.{sender}"]
        assert numbers == list(range(EACH))
    for association in {event.split()[1] for event in gateway.intake.events}:
        own = [e.split()[0] for e in gateway.intake.events if e.split()[1] == association]
        assert own == ["instance"] * EACH + ["closed"]


def _record(number: int) -> bytes:
    """Return an envelope as large as that of a CT slice."""
    attributes = InstanceAttributes(
        sop_instance_uid=f"1.2.826.0.1.3680043.8.498.{number:020d}",
        study_instance_uid="1.2.826.0.1.3680043.8.498." + "1" * 30,
        series_instance_uid="1.2.826.0.1.3680043.8.498." + "2" * 30,
        patient_name="PHANTOM^JOURNAL",
        study_description="x" * 300,
        instance_number=number,
    )
    blob = BlobRef(sha256=f"{number:064x}", size_bytes=1, media_type="application/dicom")
    source = pb.Source(door=pb.DOOR_DIMSE, association_id="01900000-0000-7000-8000-000000000000")
    instance = pb.Instance(attributes=attributes, staged=blob, source=source)
    return pb.IngestRequest(instance=instance).SerializeToString()


async def _fill(journal: Journal, count: int) -> float:
    """Append so many records, many at once, and return the seconds it took."""
    began = time.monotonic()
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        await asyncio.gather(*(journal.append(_record(n)) for n in numbers))
    return time.monotonic() - began


async def _drain(journal: Journal, folder: Path, address: str) -> float:
    """Send all of it on and return the seconds it took."""
    blobs = LocalBlobs(folder / "blobs", free_bytes=0)
    quarantine = Quarantine(folder / "quarantine", max_bytes=1, max_count=1)
    began = time.monotonic()
    async with grpc.aio.insecure_channel(address) as channel:
        stream = IntakeStream(IntakeServiceStub(channel), blobs, 30)
        replay = Replay(journal, quarantine, blobs, None)
        tasks = [asyncio.create_task(stream.run())]
        tasks.append(asyncio.create_task(replay.run(stream, lambda: None)))
        await until(lambda: journal.is_empty, 1800)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return time.monotonic() - began


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_ten_minutes_of_full_load_fit_the_default_journal_and_drain_once_each(
    short_folder: Path, figure: Callable[[str], None]
) -> None:
    limit = int(GatewaySettings.model_fields["journal_bytes"].default)
    count = FULL_LOAD_PER_S * 60 * MINUTES
    double = IntakeDouble(short_folder / "blobs", verify=False)
    server = IntakeServer(double, short_folder / "intake.sock")
    with ThreadPoolExecutor(1) as executor:
        journal = Journal(short_folder / "journal", limit, executor)
        appended_s = await _fill(journal, count)
        size, memory = journal.size_bytes, psutil.Process().memory_info().rss
        await server.start()
        drained_s = await _drain(journal, short_folder, server.address)
        await server.stop()

    assert size < limit
    assert len(double.rows) == count
    assert double.duplicates == 0
    order = [int(uid.rsplit(".", 1)[1]) for uid in double.rows]
    # A window is in flight at once; across windows the order is that of arrival.
    assert all(abs(number - place) < AT_ONCE for place, number in enumerate(order))
    figure(
        f"journal: {count:,} records of {MINUTES} minutes take {size / 2**20:.0f} MiB, appended "
        f"in {appended_s:.0f} s, drained in {drained_s:.0f} s; memory then {memory / 2**20:.0f} MiB"
    )

"""A gateway confirms what it handed over, and holds everything while its journal waits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.journal import Journal
from gateway.spool import Spool
from gateway.staged_confirmation import StagedConfirmation
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.runtime.blob_inventory import inventory_of
from services.runtime.blob_messages import blob_to_proto
from services.runtime.local_blobs import LocalBlobs


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_only_an_empty_journal_is_confirmed(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    journal = Journal(tmp_path / "j", 1 << 20, executor)
    inventory = inventory_of(LocalBlobs(tmp_path / "blobs", free_bytes=0))
    now = 1000.0
    confirmation = StagedConfirmation(journal, inventory, "gateway", clock=lambda: now)

    await confirmation.begin()
    now = 2000.0
    await journal.append(b"an envelope")
    confirmed = await confirmation.confirm()
    waiting = await inventory.staged_until()
    segment = await journal.oldest()
    assert segment is not None
    await journal.drop(segment)
    await confirmation.confirm()

    assert (confirmed, waiting) == (False, 1000.0)
    assert await inventory.staged_until() == 2000.0


async def test_a_journal_from_before_holds_everything(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    await Journal(tmp_path / "j", 1 << 20, executor).append(b"an envelope")
    inventory = inventory_of(LocalBlobs(tmp_path / "blobs", free_bytes=0))

    restarted = Journal(tmp_path / "j", 1 << 20, executor)
    await StagedConfirmation(restarted, inventory, "gateway", clock=lambda: 5000.0).begin()

    assert await inventory.staged_until() == 0.0


async def test_a_spool_forgets_what_a_crash_left_and_keeps_what_the_journal_promised(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    blobs = LocalBlobs(tmp_path / "spool", free_bytes=0)
    promised = await blobs.put_bytes(b"promised", "application/dicom")
    orphan = await blobs.put_bytes(b"orphan", "application/dicom")
    request = pb.IngestRequest(instance=pb.Instance(chunked=blob_to_proto(promised)))
    await Journal(tmp_path / "j", 1 << 20, executor).append(request.SerializeToString())

    restarted = Journal(tmp_path / "j", 1 << 20, executor)
    swept = await Spool(blobs).sweep(restarted)

    assert swept == 1
    assert await blobs.exists(promised)
    assert not await blobs.exists(orphan)
    assert not restarted.is_empty

"""Bytes that were handed over unflushed: flushed here, before their row is committed."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path

import pytest

from heimdallr.errors.v1 import error_reason_pb2
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.coordinator.intake.flushing import Flusher
from services.runtime.blob_ref import BlobRef
from tests.services.coordinator.intake.conftest import Intake
from tests.services.coordinator.intake.envelopes import attributes, instance

pytestmark = pytest.mark.postgres

STUDY = "1.2.77"


def _written(intake: Intake, number: int) -> pb.Instance:
    """Return an instance whose bytes are in the blob store and in no disk's certain hands."""
    data = f"bytes {number}".encode()
    with intake.blobs.staged_file("application/dicom") as staged:
        staged.write_hashed(data)
        staged.place(hashlib.sha256(data).hexdigest())
    envelope = instance(attributes(STUDY, number=number), data)
    envelope.written.CopyFrom(envelope.staged)
    return envelope


async def _rows(intake: Intake) -> int:
    return int(await intake.pool.fetchval("SELECT count(*) FROM archive.instance"))


async def test_written_bytes_are_flushed_before_their_row_is_seen(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    await intake.slices(STUDY, 1)
    loop = asyncio.get_running_loop()
    seen: list[int] = []
    real = os.fdatasync

    def slow(descriptor: int) -> None:
        seen.append(asyncio.run_coroutine_threadsafe(_rows(intake), loop).result(10))
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    association = "01900000-0000-7000-8000-000000000001"
    for number in (2, 3):
        envelope = _written(intake, number)
        envelope.source.association_id = association
        (answer,) = await intake.send(envelope)
        assert answer.accepted.disposition == pb.DISPOSITION_STORED

    # The second took the short way, where the row is written while the bytes are flushed.
    assert seen == [1, 2]
    assert await _rows(intake) == 3


@pytest.mark.parametrize("known", [False, True])
async def test_bytes_that_cannot_be_flushed_have_no_row_and_no_file(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    association = "01900000-0000-7000-8000-000000000002"
    if known:
        await intake.slices(STUDY, 1, association)
    before = await _rows(intake)
    envelope = _written(intake, 2)
    envelope.source.association_id = association
    real = os.fdatasync

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(os, "fdatasync", fail)
    (answer,) = await intake.send(envelope)
    monkeypatch.setattr(os, "fdatasync", real)

    reason = error_reason_pb2.ERROR_REASON_DEPENDENCY_UNAVAILABLE
    assert answer.rejected.reason == reason
    assert await _rows(intake) == before
    sha256 = envelope.written.sha256
    assert not (intake.blobs.folder / sha256[:2] / sha256).exists()
    (again,) = await intake.send(_written(intake, 2))
    assert again.accepted.disposition == pb.DISPOSITION_STORED


async def test_written_bytes_that_are_not_there_are_rejected(intake: Intake) -> None:
    envelope = instance(attributes(STUDY), b"nowhere")
    envelope.written.CopyFrom(envelope.staged)

    (answer,) = await intake.send(envelope)

    assert answer.rejected.reason == error_reason_pb2.ERROR_REASON_BLOB_NOT_FOUND


async def test_a_store_that_is_no_folder_flushes_nothing() -> None:
    class Elsewhere:
        def local_path(self, _ref: BlobRef) -> Path | None:
            return None

    failed = await Flusher(Elsewhere()).start(BlobRef("0" * 64, 1, "application/dicom"))  # type: ignore[arg-type] # all it is asked

    assert failed is not None
    assert failed.field == "written"

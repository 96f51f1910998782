"""Below the watermark instances are refused before the disk is full; all else goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime.blob_ref import BlobRef
from services.runtime.errors import StorageFullError
from services.runtime.local_blobs import LocalBlobs
from services.runtime.local_files import StagedFile
from tests.support.gateway_process import GatewayProcess
from tests.support.instances import ct_instance, encoded
from tests.support.intake import IntakeDouble, IntakeServer
from tests.support.scu import Scu

DISK_BYTES = 24 << 20
WATERMARK_BYTES = 8 << 20


@pytest.fixture
async def intake(short_folder: Path) -> AsyncIterator[IntakeServer]:
    server = IntakeServer(IntakeDouble(short_folder / "blobs"), short_folder / "intake.sock")
    await server.start()
    yield server
    await server.stop()


def _send(port: int, count: int) -> list[int]:
    with Scu(port) as scu:
        scu.associate()
        datasets = [ct_instance(size=512, number=number) for number in range(count)]
        return [scu.store(encoded(d), d.SOPInstanceUID) for d in datasets]


async def test_instances_are_refused_while_there_is_room_left_and_reading_goes_on(
    short_folder: Path, intake: IntakeServer
) -> None:
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("a small file system of our own needs root")
    intake.double.verify = False  # the file system is the gateway's alone
    mount = short_folder / "m"
    mount.mkdir()
    command = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "{mount}" && exec "$@"'
    gateway = GatewayProcess(
        short_folder,
        data=mount,
        before=("unshare", "-m", "sh", "-c", command, "sh"),
        BLOBS_FREE_BYTES=str(WATERMARK_BYTES),
    )
    await gateway.start()
    inside = Path(f"/proc/{gateway.pid}/root{mount}/blobs")
    try:
        statuses = await asyncio.to_thread(_send, gateway.port, 40)
        stored = sorted(inside.glob("??/*"))
        disk = os.statvfs(inside)
        blobs = LocalBlobs(inside, free_bytes=WATERMARK_BYTES)
        refs = [BlobRef(p.name, p.stat().st_size, "application/dicom") for p in stored]
        read = [await blobs.read(ref) for ref in refs]

        assert set(statuses) == {0x0000, 0xA700}
        assert statuses == sorted(statuses)  # once refused, refused until there is room
        assert disk.f_bavail * disk.f_frsize > WATERMARK_BYTES // 2
        assert len(read) == statuses.count(0x0000)
        stored[0].unlink()
        stored[1].unlink()
        assert await asyncio.to_thread(_send, gateway.port, 1) == [0x0000]
    finally:
        gateway.kill()


def _write(staged: StagedFile, pieces: int) -> None:
    for _ in range(pieces):
        staged.write(bytes(8 << 20))


def test_a_large_object_does_not_run_over_the_watermark(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=free - (24 << 20))
    staged = blobs.staged_file("application/dicom")

    with pytest.raises(StorageFullError):
        _write(staged, 64)
    size = staged.path.stat().st_size
    staged.close()

    assert size <= 64 << 20
    assert list((tmp_path / "blobs" / "incoming").iterdir()) == []

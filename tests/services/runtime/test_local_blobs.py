"""Blobs in a folder: durable before they are named, checked when they are read."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.runtime import local_files
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import (
    BlobCorruptError,
    BlobNotFoundError,
    LimitExceededError,
    StorageFullError,
)
from services.runtime.local_blobs import LocalBlobs

DICOM = "application/dicom"
DATA = bytes(range(256)) * 8192
SHA256 = hashlib.sha256(DATA).hexdigest()
ABSENT = BlobRef("0" * 64, 3, DICOM)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "blobs"


@pytest.fixture
def blobs(root: Path) -> LocalBlobs:
    return LocalBlobs(root, free_bytes=0)


def incoming(root: Path) -> list[Path]:
    return list((root / "incoming").iterdir())


async def test_bytes_are_named_by_their_hash(blobs: LocalBlobs, root: Path) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    assert ref == BlobRef(SHA256, len(DATA), DICOM)
    assert blobs.local_path(ref) == root / SHA256[:2] / SHA256
    assert await blobs.read(ref) == DATA
    assert await blobs.exists(ref)
    assert incoming(root) == []


async def test_a_file_is_stored_and_copied_out(blobs: LocalBlobs, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(DATA)

    ref = await blobs.put_file(tmp_path / "in", DICOM)
    await blobs.copy_to(ref, tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == DATA


async def test_a_stream_is_stored_when_it_is_committed(blobs: LocalBlobs, root: Path) -> None:
    async with blobs.stage(DICOM) as writer:
        await writer.write(DATA[:1000])
        await writer.write(DATA[1000:])
        ref = await writer.commit()

    assert ref.sha256 == SHA256
    assert b"".join([chunk async for chunk in blobs.stream(ref, chunk_bytes=4096)]) == DATA
    assert incoming(root) == []


async def test_a_stream_that_is_not_committed_leaves_nothing(blobs: LocalBlobs, root: Path) -> None:
    async def break_off() -> None:
        async with blobs.stage(DICOM) as writer:
            await writer.write(DATA)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await break_off()

    assert [path for path in root.rglob("*") if path.is_file()] == []


async def test_the_same_bytes_are_stored_once(blobs: LocalBlobs, root: Path) -> None:
    first = await blobs.put_bytes(DATA, DICOM)
    second = await blobs.put_bytes(DATA, DICOM)

    assert first == second
    assert len([path for path in root.rglob("*") if path.is_file()]) == 1


async def test_empty_bytes_are_a_blob(blobs: LocalBlobs) -> None:
    ref = await blobs.put_bytes(b"", DICOM)

    assert await blobs.read(ref) == b""
    assert [chunk async for chunk in blobs.stream(ref)] == []


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 4, DATA[:4]), (10, 5, DATA[10:15]), (len(DATA) - 2, 9, DATA[-2:]), (len(DATA), 1, b"")],
)
async def test_a_range_is_read(blobs: LocalBlobs, start: int, length: int, expected: bytes) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    assert await blobs.read_range(ref, start, length) == expected


async def test_what_is_not_stored_is_not_found(blobs: LocalBlobs, tmp_path: Path) -> None:
    assert not await blobs.exists(ABSENT)
    await blobs.delete(ABSENT)
    with pytest.raises(BlobNotFoundError):
        await blobs.read(ABSENT)
    with pytest.raises(BlobNotFoundError):
        await blobs.read_range(ABSENT, 0, 1)
    with pytest.raises(BlobNotFoundError):
        async for _ in blobs.stream(ABSENT):
            pass
    with pytest.raises(BlobNotFoundError):
        await blobs.copy_to(ABSENT, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", [DATA[:-1], DATA + b"x", b"x" + DATA[1:], b""])
async def test_damaged_bytes_are_never_handed_out_as_whole(
    blobs: LocalBlobs, root: Path, tmp_path: Path, damage: bytes
) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)
    (root / SHA256[:2] / SHA256).write_bytes(damage)

    with pytest.raises(BlobCorruptError):
        await blobs.read(ref)
    with pytest.raises(BlobCorruptError):
        async for _ in blobs.stream(ref):
            pass
    with pytest.raises(BlobCorruptError):
        await blobs.copy_to(ref, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_storing_again_heals_damaged_bytes(blobs: LocalBlobs, root: Path) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)
    (root / SHA256[:2] / SHA256).write_bytes(b"damaged")

    await blobs.put_bytes(DATA, DICOM)

    assert await blobs.read(ref) == DATA


async def test_a_deleted_blob_is_gone(blobs: LocalBlobs) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    await blobs.delete(ref)

    assert not await blobs.exists(ref)


async def test_a_blob_larger_than_the_limit_is_not_read(blobs: LocalBlobs) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    with pytest.raises(LimitExceededError):
        await blobs.read(ref, limit_bytes=len(DATA) - 1)


async def test_the_watermark_keeps_room_free(root: Path) -> None:
    blobs = LocalBlobs(root, free_bytes=1 << 62)

    with pytest.raises(StorageFullError):
        await blobs.put_bytes(DATA, DICOM)
    with pytest.raises(StorageFullError):
        async with blobs.stage(DICOM):
            pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_typed_error(code: int) -> None:
    with pytest.raises(StorageFullError), local_files.storage_errors():
        raise OSError(code, "full")


def test_another_disk_error_stays_what_it_is() -> None:
    with pytest.raises(OSError, match="broken"), local_files.storage_errors():
        raise OSError(errno.EIO, "broken")


async def test_files_and_folders_are_their_owners_alone(blobs: LocalBlobs, root: Path) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    path = root / ref.sha256[:2] / ref.sha256
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, root, root / "incoming"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_a_crash_left_is_swept(blobs: LocalBlobs, root: Path) -> None:
    old, young = root / "incoming" / "old", root / "incoming" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (1, 1))

    LocalBlobs(root)

    assert incoming(root) == [young]


def test_many_threads_may_store_the_same_bytes(blobs: LocalBlobs, root: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        refs = list(
            threads.map(lambda n: blobs.stage_sync((DATA, bytes([n % 4])), DICOM), range(40))
        )

    assert len(set(refs)) == 4
    for ref in refs:
        assert asyncio.run(blobs.read(ref))[:-1] == DATA
    assert incoming(root) == []


PROGRAM = """
import sys
from pathlib import Path
from services.runtime.local_blobs import LocalBlobs
blobs = LocalBlobs(Path(sys.argv[1]), free_bytes=0)
ref = blobs.stage_sync([b"canary"], "application/dicom")
print(f"named {ref.sha256}", flush=True)
"""


def test_file_and_folders_are_flushed_before_the_name_is_given(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,fdatasync,rename,write"]
    try:
        subprocess.run(
            [*strace, sys.executable, "-c", PROGRAM, str(tmp_path / "blobs")],
            check=True,
            capture_output=True,
            timeout=60,
            env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
        )
    except FileNotFoundError:
        pytest.skip("needs strace (apt-get install strace)")
    lines = trace.read_text().splitlines()

    sha256 = hashlib.sha256(b"canary").hexdigest()
    wanted = [
        ("fdatasync(", "/blobs/incoming/"),
        ("fsync(", "/blobs>"),
        ("rename(", f"/blobs/{sha256[:2]}/{sha256}"),
        ("fsync(", f"/blobs/{sha256[:2]}>"),
        ("write(1", f"named {sha256[:8]}"),
    ]
    positions = [
        max(number for number, line in enumerate(lines) if call in line and text in line)
        for call, text in wanted
    ]
    assert positions == sorted(positions)

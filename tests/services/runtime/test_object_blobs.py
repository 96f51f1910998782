"""Blobs in an object store, here obstore's own in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, BlobNotFoundError, LimitExceededError
from services.runtime.object_blobs import ObjectBlobs

DICOM = "application/dicom"
DATA = bytes(range(256)) * 8192
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = f"{SHA256[:2]}/{SHA256}"
ABSENT = BlobRef("0" * 64, 3, DICOM)


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def blobs(memory: MemoryStore) -> BlobStore:
    return ObjectBlobs(memory)


async def test_bytes_files_and_streams_get_the_same_name(
    blobs: BlobStore, memory: MemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(DATA)

    refs = [await blobs.put_bytes(DATA, DICOM), await blobs.put_file(tmp_path / "in", DICOM)]
    async with blobs.stage(DICOM) as writer:
        await writer.write(DATA[:9])
        await writer.write(DATA[9:])
        refs.append(await writer.commit())

    assert set(refs) == {BlobRef(SHA256, len(DATA), DICOM)}
    assert [item["path"] for item in obstore.list(memory).collect()] == [NAME]


async def test_bytes_are_read_whole_in_part_and_into_a_file(
    blobs: BlobStore, tmp_path: Path
) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    await blobs.copy_to(ref, tmp_path / "out")

    assert await blobs.read(ref) == DATA
    assert await blobs.read_range(ref, 5, 3) == DATA[5:8]
    assert await blobs.read_range(ref, len(DATA) - 1, 3) == DATA[-1:]
    assert await blobs.read_range(ref, len(DATA), 3) == b""
    assert (tmp_path / "out").read_bytes() == DATA
    assert await blobs.exists(ref)
    assert blobs.local_path(ref) is None


async def test_what_is_not_stored_is_not_found(blobs: BlobStore, tmp_path: Path) -> None:
    assert not await blobs.exists(ABSENT)
    await blobs.delete(ABSENT)
    with pytest.raises(BlobNotFoundError):
        await blobs.read(ABSENT)
    with pytest.raises(BlobNotFoundError):
        await blobs.read_range(ABSENT, 0, 1)
    with pytest.raises(BlobNotFoundError):
        await blobs.copy_to(ABSENT, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_damaged_bytes_are_never_handed_out_as_whole(
    blobs: BlobStore, memory: MemoryStore
) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)
    await obstore.put_async(memory, NAME, b"damaged")

    with pytest.raises(BlobCorruptError):
        await blobs.read(ref)


async def test_a_blob_larger_than_the_limit_is_not_read(blobs: BlobStore) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    with pytest.raises(LimitExceededError):
        await blobs.read(ref, limit_bytes=1)


async def test_a_deleted_blob_is_gone(blobs: BlobStore) -> None:
    ref = await blobs.put_bytes(DATA, DICOM)

    await blobs.delete(ref)

    assert not await blobs.exists(ref)

"""What a store holds, set aside and put back without losing bytes, in a folder and elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import pytest
from obstore.store import MemoryStore

from services.runtime.blob_inventory import AsideBlob, BlobInventory, inventory_of
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.local_blobs import LocalBlobs
from services.runtime.object_blobs import ObjectBlobs

_Item = TypeVar("_Item")


@pytest.fixture(params=["folder", "objects"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "folder":
        return LocalBlobs(tmp_path / "blobs", free_bytes=0)
    return ObjectBlobs(MemoryStore())


@pytest.fixture
def inventory(blobs: BlobStore) -> BlobInventory:
    return inventory_of(blobs)


async def put(blobs: BlobStore, data: bytes) -> BlobRef:
    return await blobs.put_bytes(data, "application/dicom")


async def collected(items: AsyncIterator[_Item]) -> list[_Item]:
    return [item async for item in items]


async def set_aside(inventory: BlobInventory, sha256: str) -> AsideBlob | None:
    moved = await inventory.set_aside([sha256])
    return moved[0] if moved else None


async def test_what_is_stored_is_listed_in_order(
    blobs: BlobStore, inventory: BlobInventory
) -> None:
    refs = [await put(blobs, b"%d" % number) for number in range(600)]
    prefix = refs[0].sha256[:2]

    found = await collected(inventory.stored(prefix))

    expected = sorted(ref.sha256 for ref in refs if ref.sha256.startswith(prefix))
    assert [blob.sha256 for blob in found] == expected
    assert all(abs(blob.put_time - time.time()) < 60 for blob in found)
    assert {blob.size_bytes for blob in found} <= {1, 2, 3}


async def test_what_was_set_aside_is_put_back_whole(
    blobs: BlobStore, inventory: BlobInventory
) -> None:
    ref = await put(blobs, b"bytes")

    moved = await set_aside(inventory, ref.sha256)
    gone = not await blobs.exists(ref)
    listed = await collected(inventory.aside())
    assert moved is not None
    await inventory.put_back(moved)

    assert gone
    assert [(blob.sha256, blob.size_bytes) for blob in listed] == [(ref.sha256, 5)]
    assert await blobs.read(ref) == b"bytes"
    assert await collected(inventory.aside()) == []


async def test_what_was_discarded_is_gone(blobs: BlobStore, inventory: BlobInventory) -> None:
    ref = await put(blobs, b"bytes")
    moved = await set_aside(inventory, ref.sha256)
    assert moved is not None

    await inventory.discard(moved)
    await inventory.discard(moved)

    assert await collected(inventory.aside()) == []
    assert not await blobs.exists(ref)
    assert await set_aside(inventory, ref.sha256) is None


async def test_bytes_that_were_put_again_meanwhile_stay(
    blobs: BlobStore, inventory: BlobInventory
) -> None:
    ref = await put(blobs, b"bytes")
    moved = await set_aside(inventory, ref.sha256)
    assert moved is not None

    await put(blobs, b"bytes")
    await inventory.put_back(moved)

    assert await blobs.read(ref) == b"bytes"
    assert await collected(inventory.aside()) == []


async def test_the_earliest_confirmation_of_all_holders_counts(inventory: BlobInventory) -> None:
    none = await inventory.staged_until()
    await inventory.confirm_staged("gateway", 2000.0)
    await inventory.confirm_staged("gateway-2", 1000.5)
    await inventory.confirm_staged("gateway", 3000.0)

    assert none is None
    assert await inventory.staged_until() == 1000.5


async def test_putting_a_blob_again_makes_it_young(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    ref = await put(blobs, b"bytes")
    path = blobs.local_path(ref)
    assert path is not None
    os.utime(path, (1000, 1000))

    await put(blobs, b"bytes")

    found = await collected(inventory_of(blobs).stored(ref.sha256[:2]))
    assert found[0].put_time > 1000


async def test_no_put_is_lost_while_the_same_blob_is_set_aside_and_back(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    inventory = inventory_of(blobs)
    ref = BlobRef(hashlib.sha256(b"bytes").hexdigest(), 5, "application/dicom")
    lost = 0

    async def collect() -> None:
        for _ in range(200):
            moved = await set_aside(inventory, ref.sha256)
            if moved is not None:
                await inventory.put_back(moved)

    async def put_and_look() -> None:
        nonlocal lost
        for _ in range(100):
            await put(blobs, b"bytes")
            # A moment later it is back, whatever was going on.
            for _attempt in range(200):
                if await blobs.exists(ref):
                    break
                await asyncio.sleep(0.001)
            else:
                lost += 1

    await asyncio.gather(collect(), put_and_look())

    assert lost == 0
    assert await blobs.read(ref) == b"bytes"
    assert await collected(inventory.aside()) == []

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from gateway.dicomweb.cache import DiskCache


class Making:
    """Counts what is made."""

    def __init__(self, size: int = 100) -> None:
        self.count = 0
        self.size = size

    async def make(self) -> bytes:
        self.count += 1
        await asyncio.sleep(0)
        return bytes(self.size)


async def test_what_was_made_is_kept_over_a_restart(tmp_path: Path) -> None:
    making, before = Making(), DiskCache(tmp_path, 1000, 60)
    await before.get("picture", "key", making.make)
    await before.settled()

    again = await DiskCache(tmp_path, 1000, 60).get("picture", "key", making.make)

    assert again == bytes(100)
    assert making.count == 1


async def test_those_who_ask_together_wait_for_one(tmp_path: Path) -> None:
    cache, making = DiskCache(tmp_path, 1000, 60), Making()

    found = await asyncio.gather(*[cache.get("picture", "key", making.make) for _ in range(10)])

    assert (set(found), making.count) == ({bytes(100)}, 1)


async def test_what_is_still_being_written_is_not_made_again(tmp_path: Path) -> None:
    cache, making = DiskCache(tmp_path, 1000, 60), Making()

    await cache.get("picture", "key", making.make)
    at_once = await cache.get("picture", "key", making.make)
    await cache.settled()
    later = await cache.get("picture", "key", making.make)

    assert (at_once, later, making.count) == (bytes(100), bytes(100), 1)


async def test_the_least_used_gives_way(tmp_path: Path) -> None:
    cache, making = DiskCache(tmp_path, 1000, 60), Making(200)
    for key in "abcd":
        await cache.get("picture", key, making.make)
        await cache.settled()
    await cache.get("picture", "a", making.make)
    for key in "ef":
        await cache.get("picture", key, making.make)
        await cache.settled()

    await cache.get("picture", "a", making.make)
    kept = making.count
    await cache.get("picture", "b", making.make)
    await cache.settled()

    assert kept == 6
    assert making.count == 7
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000


async def test_what_is_old_is_made_again(tmp_path: Path) -> None:
    cache, making = DiskCache(tmp_path, 1000, 3600), Making()
    await cache.get("picture", "key", making.make)
    await cache.settled()
    (file,) = tmp_path.iterdir()
    os.utime(file, (time.time() - 4000,) * 2)

    await DiskCache(tmp_path, 1000, 3600).get("picture", "key", making.make)

    assert making.count == 2


async def test_what_could_not_be_made_is_tried_again(tmp_path: Path) -> None:
    cache, making = DiskCache(tmp_path, 1000, 60), Making()

    async def fail() -> bytes:
        await asyncio.sleep(0)
        raise ValueError

    outcomes = await asyncio.gather(
        *[cache.get("picture", "key", fail) for _ in range(3)], return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert await cache.get("picture", "key", making.make) == bytes(100)


@pytest.mark.parametrize("bound", [0, 300])
async def test_what_is_too_large_is_not_kept(tmp_path: Path, bound: int) -> None:
    cache, making = DiskCache(tmp_path, bound, 60), Making()

    for _ in range(2):
        await cache.get("picture", "key", making.make)
        await cache.settled()

    assert making.count == 2
    assert list(tmp_path.iterdir()) == []

"""Garbage is collected in two steps; nothing that is named, young or awaited is."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest

from services.coordinator.archive.deletion import delete_study
from services.runtime.blob_inventory import AsideBlob, BlobInventory
from services.runtime.blob_ref import BlobRef
from services.runtime.postgres import transaction
from tests.services.coordinator.storage.conftest import DAY_S, Yard

pytestmark = pytest.mark.postgres

NAMED_COLUMNS = {
    ("archive", "instance", "sha256"),
    ("archive", "conflict", "sha256"),
    ("workflow", "result_blob", "sha256"),
}
"""Columns that name blobs; a new one has to be asked by the collector's queries."""

NOT_BLOBS = {
    ("storage", "damage", "sha256"),
    # The stage that made them names them among its study's results.
    ("deidentification", "object", "released_sha256"),
    ("deidentification", "certificate", "sha256"),
}


async def test_the_collector_asks_every_column_that_names_a_blob(yard: Yard) -> None:
    found = await yard.rows(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        " WHERE column_name LIKE '%sha256%' AND table_name <> 'migration'"
        " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )

    assert {tuple(row) for row in found} == NAMED_COLUMNS | NOT_BLOBS


async def test_what_nothing_names_is_set_aside_and_a_day_later_deleted(yard: Yard) -> None:
    garbage = await yard.put(b"garbage", days_ago=2)

    first = await yard.collect()
    again = await yard.collect()
    yard.ahead_s = 1.1 * DAY_S
    last = await yard.collect()

    assert (first.examined_count, first.set_aside_count, first.set_aside_bytes) == (1, 1, 7)
    assert (again.examined_count, again.deleted_count) == (0, 0)
    assert (last.deleted_count, last.deleted_bytes) == (1, 7)
    assert not await yard.blobs.exists(garbage)
    assert [blob async for blob in yard.inventory.aside()] == []


async def test_what_rows_name_stays(yard: Yard) -> None:
    instance = await yard.put(b"instance", days_ago=9)
    conflict = await yard.put(b"conflict", days_ago=9)
    result = await yard.put(b"result", days_ago=9)
    garbage = [await yard.put(b"%d" % number, days_ago=9) for number in range(30)]
    await yard.index(b"instance")
    await yard.index(b"conflict")
    await yard.name_as_result(result)

    round_ = await yard.collect()

    assert (round_.examined_count, round_.set_aside_count) == (33, 30)
    for kept in (instance, conflict, result):
        assert await yard.blobs.exists(kept)
    for gone in garbage:
        assert not await yard.blobs.exists(gone)


async def test_what_is_young_stays(yard: Yard) -> None:
    young = await yard.put(b"just staged")

    round_ = await yard.collect()

    assert (round_.young_count, round_.set_aside_count) == (1, 0)
    assert await yard.blobs.exists(young)


async def test_what_a_gateway_may_still_hand_over_stays_however_old(yard: Yard) -> None:
    journaled = await yard.put(b"in the journal", days_ago=5)
    await yard.inventory.confirm_staged("gateway", time.time() - 6 * DAY_S)

    waiting = await yard.collect()
    await yard.inventory.confirm_staged("gateway", time.time())
    drained = await yard.collect()

    assert (waiting.set_aside_count, drained.set_aside_count) == (0, 1)
    assert not await yard.blobs.exists(journaled)


async def test_what_was_set_aside_is_deleted_only_after_every_gateway_confirmed(
    yard: Yard,
) -> None:
    await yard.put(b"garbage", days_ago=3)
    await yard.inventory.confirm_staged("gateway", time.time())
    await yard.collect()
    yard.ahead_s = 5 * DAY_S

    waiting = await yard.collect()
    await yard.inventory.confirm_staged("gateway", time.time() + 5 * DAY_S)
    confirmed = await yard.collect()

    assert (waiting.deleted_count, confirmed.deleted_count) == (0, 1)


async def test_a_dry_run_counts_and_moves_nothing(yard: Yard) -> None:
    garbage = await yard.put(b"garbage", days_ago=2)

    round_ = await yard.collect(dry_run=True)

    assert (round_.set_aside_count, round_.set_aside_bytes) == (1, 7)
    assert await yard.blobs.exists(garbage)


async def test_what_is_named_while_it_lies_aside_is_put_back(yard: Yard) -> None:
    ref = await yard.put(b"bytes", days_ago=2)
    await yard.collect()
    await yard.index(b"bytes")

    round_ = await yard.collect()

    assert round_.restored_count == 1
    assert await yard.blobs.read(ref) == b"bytes"


class MeanwhilePut:
    """An inventory under which the same bytes are put at the worst moments."""

    def __init__(self, yard: Yard, data: bytes, when: str, *, index: bool) -> None:
        self._yard, self._data, self._when, self._index = yard, data, when, index

    def __getattr__(self, name: str) -> object:
        return getattr(self._yard.inventory, name)

    async def set_aside(self, sha256s: Sequence[str]) -> list[AsideBlob]:
        if self._when == "before":
            await self._put()
        moved = await self._yard.inventory.set_aside(sha256s)
        if self._when == "after":
            await self._put()
        return moved

    async def _put(self) -> None:
        await self._yard.blobs.put_bytes(self._data, "application/dicom")
        if self._index:
            await self._yard.index(self._data)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("index", [True, False])
async def test_the_same_bytes_that_come_in_while_they_are_collected_stay(
    yard: Yard, when: str, index: bool
) -> None:
    ref = await yard.put(b"bytes", days_ago=2)
    inventory: BlobInventory = MeanwhilePut(yard, b"bytes", when, index=index)  # type: ignore[assignment]

    await yard.collect(inventory=inventory)
    at_once = await yard.blobs.read(ref)
    if not index:
        await yard.index(b"bytes")
    yard.ahead_s = 30 * DAY_S
    await yard.collect()

    assert at_once == b"bytes"
    assert await yard.blobs.read(ref) == b"bytes"


async def test_a_row_without_a_new_put_takes_its_bytes_back_at_once(yard: Yard) -> None:
    ref = await yard.put(b"bytes", days_ago=2)

    class NamedMeanwhile(MeanwhilePut):
        async def _put(self) -> None:
            await yard.index(b"bytes")

    inventory: BlobInventory = NamedMeanwhile(yard, b"", "before", index=True)  # type: ignore[assignment]
    round_ = await yard.collect(inventory=inventory)

    assert round_.restored_count == 1
    assert await yard.blobs.read(ref) == b"bytes"


async def test_a_round_is_bounded_and_the_next_one_goes_on(yard: Yard) -> None:
    for number in range(10):
        await yard.put(b"%d" % number, days_ago=2)

    first = await yard.collect(limit=4)
    second = await yard.collect(limit=100)

    assert (first.set_aside_count, second.set_aside_count) == (4, 6)


async def test_a_round_that_was_broken_off_goes_on_where_it_was(yard: Yard) -> None:
    refs: list[BlobRef] = [await yard.put(b"%d" % number, days_ago=2) for number in range(40)]
    middle = sorted(ref.sha256 for ref in refs)[20][:2]
    round_ = await yard.store.begin_collection(dry_run=False)
    round_.prefix = middle

    await yard.collector().collect(round_)

    rest = sum(ref.sha256[:2] >= middle for ref in refs)
    assert (round_.examined_count, round_.set_aside_count) == (rest, rest)
    saved = await yard.store.latest_collection()
    assert saved is not None
    assert (saved.prefix, saved.set_aside_count) == ("ff", rest)


async def test_one_coordinator_collects_at_a_time(yard: Yard) -> None:
    async with yard.store.alone("collect") as first, yard.store.alone("collect") as second:
        both = (first, second)
    async with yard.store.alone("collect") as third:
        pass

    assert (*both, third) == (True, False, True)


async def test_nothing_that_is_named_is_lost_while_studies_come_and_go(yard: Yard) -> None:
    chance = random.Random(7)  # noqa: S311 -- the same every time
    under_way: set[float] = set()
    working = True
    moved = 0

    async def receive(content: int, turn: int) -> None:
        began = time.time()
        under_way.add(began)
        data = b"content %d" % content
        await yard.put(data)
        await asyncio.sleep(chance.random() / 50)
        study_id = await yard.index(data, study_uid=f"1.2.{content}.{turn}")
        under_way.discard(began)
        if chance.random() < 0.6:
            async with transaction(yard.pool) as connection:
                await yard.archive.lock_study(connection, study_id)
                await delete_study(connection, study_id)

    async def work(lane: int) -> None:
        turn = 0
        while turn < 12 or not moved:
            # The lanes meet in the same contents, and leave them for others.
            await receive(6 * (turn // 4) + chance.randrange(6), 1000 * lane + turn)
            turn += 1

    async def collect() -> None:
        nonlocal moved
        while working:
            await yard.inventory.confirm_staged("writer", min(under_way, default=time.time()))
            # A file's time is that of the kernel's last tick.
            round_ = await yard.collect(grace=timedelta(seconds=0.05))
            moved += round_.set_aside_count + round_.deleted_count

    collecting = asyncio.create_task(collect())
    async with asyncio.timeout(120):
        await asyncio.gather(*(work(lane) for lane in range(3)))
    working = False
    await collecting

    named = await yard.rows("SELECT sha256, size_bytes FROM archive.instance")
    refs = [BlobRef(row["sha256"], row["size_bytes"], "application/dicom") for row in named]
    assert refs
    assert all([await yard.blobs.exists(ref) for ref in refs])

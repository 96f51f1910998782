"""A scrub finds what is corrupt or gone, tells it once, and goes on where it was."""

from __future__ import annotations

import pytest

from services.coordinator.storage.rounds import DamageKind, Scrub, ScrubKind
from services.coordinator.storage.scrubber import Scrubber, _Pace
from services.runtime.blob_ref import BlobRef
from tests.services.coordinator.storage.conftest import Yard

pytestmark = pytest.mark.postgres


async def scrub(yard: Yard, round_: Scrub | None = None) -> Scrub:
    round_ = round_ or await yard.store.begin_scrub(0)
    await Scrubber(yard.pool, yard.store, yard.blobs).scrub(round_)
    await yard.store.end_scrub(round_)
    return round_


async def stored_instance(yard: Yard, data: bytes, number: int) -> tuple[str, BlobRef]:
    ref = await yard.put(data)
    return await yard.index(data, number), ref


def damage(yard: Yard, ref: BlobRef) -> None:
    path = yard.blobs.local_path(ref)
    assert path is not None
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


async def test_what_is_whole_is_counted_and_nothing_is_said(yard: Yard) -> None:
    await stored_instance(yard, b"one", 1)
    await stored_instance(yard, b"two!", 2)
    result = await yard.put(b"result")
    await yard.name_as_result(result)

    round_ = await scrub(yard)

    assert (round_.total_count, round_.checked_count, round_.checked_bytes) == (3, 3, 13)
    assert (round_.corrupt_count, round_.missing_count) == (0, 0)
    assert await yard.store.damages() == []


async def test_corrupt_and_missing_bytes_are_found_flagged_and_told_once(yard: Yard) -> None:
    study_id, corrupt = await stored_instance(yard, b"corrupt", 1)
    _, missing = await stored_instance(yard, b"missing", 2)
    _, conflict = await stored_instance(yard, b"other bytes", 2)
    damage(yard, corrupt)
    damage(yard, conflict)
    await yard.blobs.delete(missing)

    first = await scrub(yard)
    again = await scrub(yard)

    for round_ in (first, again):
        assert (round_.corrupt_count, round_.missing_count) == (2, 1)
    found = {one.sha256: one for one in await yard.store.damages()}
    assert found[corrupt.sha256].kind is DamageKind.CORRUPT
    assert found[conflict.sha256].kind is DamageKind.CORRUPT
    assert found[missing.sha256].kind is DamageKind.MISSING
    assert all(one.study_id == study_id and one.instance_id for one in found.values())
    told = await yard.rows("SELECT study_id FROM events.event WHERE type = 'BLOB_DAMAGED'")
    assert [str(row["study_id"]) for row in told] == [study_id] * 3


async def test_what_is_whole_again_is_no_damage_any_more(yard: Yard) -> None:
    _, ref = await stored_instance(yard, b"bytes", 1)
    damage(yard, ref)
    await scrub(yard)
    await yard.put(b"bytes")

    await scrub(yard)

    assert await yard.store.damages() == []


async def test_a_study_that_was_deleted_meanwhile_is_no_loss(yard: Yard) -> None:
    _, ref = await stored_instance(yard, b"bytes", 1)
    round_ = await yard.store.begin_scrub(0)
    page = await yard.store.to_read(ScrubKind.INSTANCE, "", 10)
    await yard.pool.execute("DELETE FROM archive.instance")
    await yard.blobs.delete(ref)

    await Scrubber(yard.pool, yard.store, yard.blobs)._read_page(round_, page, _Pace(0))

    assert round_.missing_count == 0
    assert await yard.store.damages() == []


async def test_an_interrupted_scrub_goes_on_where_it_was(yard: Yard) -> None:
    for number in range(1, 6):
        await stored_instance(yard, b"%d" % number, number)
    round_ = await yard.store.begin_scrub(0)
    third = (await yard.store.to_read(ScrubKind.INSTANCE, "", 10))[2]
    round_.last_key, round_.checked_count = third.key, 3
    await yard.store.save_scrub(round_)

    resumed = await yard.store.latest_scrub()
    assert resumed is not None
    await scrub(yard, resumed)

    assert (resumed.checked_count, resumed.checked_bytes) == (5, 2)

"""The short way into the index leaves the same rows as the long one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.coordinator.archive.arrival import Arrival, Disposition, Indexed
from services.coordinator.archive.known import add_to_known
from services.runtime.ids import new_id
from services.runtime.postgres import Pool, connection, transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive

pytestmark = pytest.mark.postgres


async def _counts(pool: Pool, uid: str = "1.2.1") -> tuple[int, int, int, int]:
    row = await pool.fetchrow(
        "SELECT s.instance_count, s.series_count, "
        "(SELECT sum(instance_count) FROM archive.series r WHERE r.study_id = s.study_id), "
        "(SELECT count(*) FROM archive.instance i WHERE i.study_id = s.study_id) "
        "FROM archive.study s WHERE study_instance_uid = $1",
        uid,
    )
    assert row is not None
    return (row[0], row[1], row[2], row[3])


async def _added(archive: Archive, arrivals: Sequence[Arrival]) -> dict[str, Indexed]:
    async with connection(archive.pool) as borrowed:
        return await add_to_known(borrowed, arrivals, tell=False)


async def test_more_instances_of_a_known_series_are_added_and_counted(archive: Archive) -> None:
    first = (await archive.add(arrival(number=1)))[0]
    more = [arrival(number=number) for number in (2, 3)]

    added = await _added(archive, more)

    assert set(added) == {one.instance_id for one in more}
    for indexed in added.values():
        assert indexed.disposition is Disposition.STORED
        assert indexed.held.study_id == first.held.study_id
        assert indexed.held.series_id == first.held.series_id
        assert indexed.held.generation == 1
    assert await _counts(archive.pool) == (3, 1, 3, 3)


async def test_what_is_not_known_is_left_for_the_long_way(archive: Archive) -> None:
    known = arrival(number=1)
    await archive.add(known)
    left = [
        arrival(number=1),
        arrival(number=1, data=b"other"),
        arrival(number=1, modality="MR"),
        arrival(study("1.2.2"), number=1),
    ]

    added = await _added(archive, [*left, arrival(number=2)])

    assert len(added) == 1
    assert await _counts(archive.pool) == (2, 1, 2, 2)
    indexed = await archive.add(*left)
    assert [one.disposition for one in indexed] == [
        Disposition.DUPLICATE,
        Disposition.CONFLICT,
        Disposition.STORED,
        Disposition.STORED,
    ]


async def test_the_second_of_two_equal_instances_is_left(archive: Archive) -> None:
    await archive.add(arrival(number=1))
    twins = [arrival(number=2), arrival(number=2)]

    added = await _added(archive, twins)

    assert len(added) == 1
    assert await _counts(archive.pool) == (2, 1, 2, 2)


async def test_another_patient_under_a_known_study_is_left_so_that_it_is_flagged(
    archive: Archive,
) -> None:
    await archive.add(arrival(number=1))
    others = [study(patient_id_text="P2"), study(issuer_of_patient_id="H")]

    assert await _added(archive, [arrival(one, number=2) for one in others]) == {}


@pytest.mark.parametrize("state", ["complete", "processing", "ready", "held"])
async def test_a_study_that_is_not_being_received_is_left(archive: Archive, state: str) -> None:
    await archive.add(arrival(number=1))
    await archive.pool.execute("UPDATE archive.study SET state = $1", state)

    assert await _added(archive, [arrival(number=2)]) == {}
    assert await _counts(archive.pool) == (1, 1, 1, 1)


async def test_a_new_modality_is_left_so_that_the_study_learns_of_it(archive: Archive) -> None:
    await archive.add(arrival(number=1))
    await archive.pool.execute("UPDATE archive.study SET modalities = '{}'")

    assert await _added(archive, [arrival(number=2)]) == {}


async def test_an_association_is_noted_in_the_generation_it_brings_to(archive: Archive) -> None:
    await archive.add(arrival(number=1))
    association_id = new_id()

    for number in (2, 3):
        one = arrival(number=number, association_id=association_id)
        assert await _added(archive, [one])

    rows = await archive.pool.fetch(
        "SELECT open, generation FROM archive.association WHERE association_id = $1",
        association_id,
    )
    assert [tuple(row) for row in rows] == [(True, 1)]


async def test_growth_is_told_once_it_is_due(archive: Archive) -> None:
    indexed = (await archive.add(arrival(number=1)))[0]
    await archive.pool.execute("UPDATE archive.study SET grew_event_time = now() - interval '2 s'")

    for number in (2, 3):
        async with transaction(archive.pool) as connection:
            assert await add_to_known(connection, [arrival(number=number)], tell=True)

    events = await archive.pool.fetch("SELECT type, study_id, generation FROM events.event")
    told = [tuple(row) for row in events if row["type"].endswith("GREW")]
    assert len(told) == 1
    assert (str(told[0][1]), told[0][2]) == (indexed.held.study_id, 1)

"""Which studies may be called complete."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.coordinator.archive.indexer import AssociationEnd, Indexer
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import Evidence, StudyState
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, transaction
from tests.services.coordinator.archive.arrivals import arrival

pytestmark = pytest.mark.postgres

_QUIET = timedelta(seconds=60)
_RELEASED = timedelta(seconds=2)


@pytest.fixture
async def store(pool: Pool) -> ArchiveStore:
    await apply(pool, ["services.coordinator.archive", "services.coordinator.events"])
    return ArchiveStore(pool)


async def _judged(pool: Pool, store: ArchiveStore) -> list[Evidence]:
    async with transaction(pool) as connection:
        found = await store.receiving_studies_ready_to_judge(connection, _QUIET, _RELEASED, 10)
    return [one.evidence for one in found]


async def _received(pool: Pool, *association_ids: str) -> str:
    async with transaction(pool) as connection:
        indexed = await Indexer().index(
            connection,
            [arrival(number=n, association_id=one) for n, one in enumerate(association_ids)],
        )
    return indexed[0].held.study_id


async def _close(pool: Pool, association_id: str, *, released: bool) -> None:
    async with transaction(pool) as connection:
        end = AssociationEnd(association_id, released)
        await Indexer().close_associations(connection, [end])


async def _quiet_for(pool: Pool, seconds: int) -> None:
    await pool.execute(
        "UPDATE archive.study SET last_receive_time = now() - $1::interval",
        timedelta(seconds=seconds),
    )


_CASES = [
    ("none closed", [None, None], 59, []),
    ("none closed", [None, None], 61, [Evidence.QUIET]),
    ("one still open", [True, None], 30, []),
    ("one broke off", [True, False], 30, []),
    ("one broke off", [True, False], 61, [Evidence.QUIET]),
    ("all released", [True, True], 1, []),
    ("all released", [True, True], 3, [Evidence.RELEASED]),
    ("all released", [True, True], 61, [Evidence.RELEASED]),
]


@pytest.mark.parametrize(("name", "ends", "quiet_s", "evidence"), _CASES)
async def test_evidence_of_completeness(
    pool: Pool,
    store: ArchiveStore,
    name: str,
    ends: list[bool | None],
    quiet_s: int,
    evidence: list[Evidence],
) -> None:
    ids = [new_id() for _ in ends]
    await _received(pool, *ids)
    for association_id, released in zip(ids, ends, strict=True):
        if released is not None:
            await _close(pool, association_id, released=released)
    await _quiet_for(pool, quiet_s)

    assert await _judged(pool, store) == evidence


async def test_an_association_of_an_older_generation_is_no_evidence(
    pool: Pool, store: ArchiveStore
) -> None:
    first, late = new_id(), new_id()
    study_id = await _received(pool, first)
    await _close(pool, first, released=False)
    async with transaction(pool) as connection:
        await store.set_study_state(connection, study_id, StudyState.READY, Evidence.QUIET)
        await Indexer().index(connection, [arrival(number=50, association_id=late)])
    await _close(pool, late, released=True)
    await _quiet_for(pool, 3)

    assert await _judged(pool, store) == [Evidence.RELEASED]


async def test_a_study_that_another_transaction_holds_is_left_out(
    pool: Pool, store: ArchiveStore
) -> None:
    study_id = await _received(pool, new_id())
    await _quiet_for(pool, 100)
    async with transaction(pool) as connection:
        await store.lock_study(connection, study_id)

        assert await _judged(pool, store) == []

    assert await _judged(pool, store) == [Evidence.QUIET]

"""A study leaves while another of the same patient comes in."""

from __future__ import annotations

import asyncio
from typing import Final

from services.coordinator.archive.deletion import delete_study
from services.coordinator.archive.indexer import Indexer
from services.coordinator.archive.store import ArchiveStore
from services.runtime.postgres import Connection, Pool, transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive

_WAITS: Final = """SELECT EXISTS (SELECT FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock')"""


async def _index(connection: Connection, number: int) -> str:
    coming = arrival(study(f"1.2.{number}"), number=number, data=b"%d" % number)
    return (await Indexer().index(connection, [coming]))[0].held.study_id


async def _delete(pool: Pool, connection: Connection, study_id: str) -> None:
    await ArchiveStore(pool).lock_study(connection, study_id)
    await delete_study(connection, study_id)


async def _studies_with_a_patient(pool: Pool) -> list[str]:
    rows = await pool.fetch(
        "SELECT study_instance_uid FROM archive.study JOIN archive.patient USING (patient_id)"
    )
    return [row["study_instance_uid"] for row in rows]


async def _waits_for_a_lock(pool: Pool) -> None:
    async with asyncio.timeout(10):
        while not await pool.fetchval(_WAITS):  # noqa: ASYNC110 -- the database tells nobody
            await asyncio.sleep(0.01)


async def test_a_study_that_comes_while_its_patient_leaves_has_a_patient(
    archive: Archive,
) -> None:
    async with transaction(archive.pool) as connection:
        first = await _index(connection, 1)

    async def come() -> None:
        async with transaction(archive.pool) as connection:
            await _index(connection, 2)

    async with transaction(archive.pool) as connection:
        await _delete(archive.pool, connection, first)
        coming = asyncio.create_task(come())
        await _waits_for_a_lock(archive.pool)
    await coming

    assert await _studies_with_a_patient(archive.pool) == ["1.2.2"]


async def test_a_patient_stays_for_a_study_that_is_coming(archive: Archive) -> None:
    async with transaction(archive.pool) as connection:
        first = await _index(connection, 1)

    async def leave() -> None:
        async with transaction(archive.pool) as connection:
            await _delete(archive.pool, connection, first)

    async with transaction(archive.pool) as connection:
        await _index(connection, 2)
        leaving = asyncio.create_task(leave())
        await _waits_for_a_lock(archive.pool)
    await leaving

    assert await _studies_with_a_patient(archive.pool) == ["1.2.2"]

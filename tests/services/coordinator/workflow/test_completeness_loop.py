"""Which studies are called complete, over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.coordinator.archive.indexer import AssociationEnd, Indexer
from services.coordinator.archive.study import Evidence, StudyState
from services.coordinator.workflow.completeness import CompletenessRules
from services.runtime.postgres import Pool, transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.workflow.workshop import Workshop, open_workshop

pytestmark = pytest.mark.postgres

# Far from the seconds that a test takes.
_RULES = CompletenessRules(quiet_after=timedelta(hours=2), released_after=timedelta(hours=1))
_CASES: list[tuple[list[bool | None], float, Evidence | None]] = [
    # Ends of its associations (None: open), hours of quiet, evidence.
    ([None, None], 1.5, None),
    ([None, None], 2.5, Evidence.QUIET),
    ([True, None], 1.5, None),
    ([True, False], 1.5, None),
    ([True, False], 2.5, Evidence.QUIET),
    ([True, True], 0.5, None),
    ([True, True], 1.5, Evidence.RELEASED),
    ([True, True], 2.5, Evidence.RELEASED),
]


@pytest.fixture
async def patient(database: Pool, mesh_address: str) -> AsyncIterator[Workshop]:
    opened = open_workshop(database, mesh_address, rules=_RULES)
    yield opened
    await opened.channel.close()


async def _close(pool: Pool, association_id: str, *, released: bool) -> None:
    async with transaction(pool) as connection:
        end = AssociationEnd(association_id, released)
        await Indexer().close_associations(connection, [end])


async def _quiet_for(pool: Pool, study_id: str, hours: float) -> None:
    await pool.execute(
        "UPDATE archive.study SET last_receive_time = now() - $2::interval WHERE study_id = $1",
        study_id,
        timedelta(hours=hours),
    )


async def _evidence(workshop: Workshop, study_id: str) -> Evidence | None:
    record = await workshop.archive.study_record(study_id)
    assert record is not None
    return None if record.state is StudyState.RECEIVING else record.evidence


async def test_evidence_of_completeness(patient: Workshop) -> None:
    studies = []
    for case, (ends, quiet_h, _) in enumerate(_CASES):
        brought = [
            arrival(study(f"1.2.{case}"), number=n, data=b"%d %d" % (case, n)) for n in range(2)
        ]
        studies.append(await patient.receive(*brought))
        for one, released in zip(brought, ends, strict=True):
            if released is not None:
                await _close(patient.pool, one.association_id, released=released)
        await _quiet_for(patient.pool, studies[-1], quiet_h)

    judged = await patient.completeness.judge()

    found = [await _evidence(patient, study_id) for study_id in studies]
    assert found == [evidence for _, _, evidence in _CASES]
    assert judged == sum(evidence is not None for evidence in found)


async def test_an_association_of_an_older_generation_is_no_evidence(patient: Workshop) -> None:
    first, late = arrival(), arrival(number=2, data=b"late")
    study_id = await patient.receive(first)
    await _close(patient.pool, first.association_id, released=False)
    await _quiet_for(patient.pool, study_id, 2.5)
    await patient.completeness.judge()
    await patient.receive(late)
    await _close(patient.pool, late.association_id, released=True)
    await _quiet_for(patient.pool, study_id, 1.5)

    await patient.completeness.judge()

    assert await _evidence(patient, study_id) is Evidence.RELEASED


async def test_a_study_that_another_transaction_holds_is_left_out(patient: Workshop) -> None:
    study_id = await patient.receive(arrival())
    await _quiet_for(patient.pool, study_id, 2.5)
    async with transaction(patient.pool) as connection:
        await patient.archive.lock_study(connection, study_id)
        held = await patient.completeness.judge()

    assert held == 0
    assert await patient.completeness.judge() == 1


async def test_more_studies_than_a_look_takes_are_all_judged(patient: Workshop) -> None:
    for number in range(105):
        await patient.receive(arrival(study(f"1.2.{number}"), data=b"%d" % number))
    await patient.pool.execute(
        "UPDATE archive.study SET last_receive_time = now() - interval '1 day'"
    )

    assert await patient.completeness.judge() == 105

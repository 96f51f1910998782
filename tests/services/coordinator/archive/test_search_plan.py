"""Searches use their indexes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.coordinator.archive.search import Statement, StudyFilter, StudyList
from services.coordinator.archive.searches import Searches
from services.coordinator.archive.study import StudyKey, StudyOrder, StudyState
from services.coordinator.archive.study_search import Page, StudySearch
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool
from tests.services.coordinator.archive.arrivals import TIME

pytestmark = pytest.mark.postgres

_ROWS = 20_000
# In the midst of the studies, whatever the time is.
LATER = datetime.now(UTC) - timedelta(minutes=_ROWS / 2)
_FILL = """
INSERT INTO archive.study
    (study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
     patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
     accession_number, study_id_text, study_description, referring_physician_name, state,
     modalities, first_receive_time, search)
SELECT gen_random_uuid(), '1.2.' || n, $1,
       'P' || CASE WHEN n % 3 = 0 THEN 5000 ELSE n % 5000 END, '', 'Name' || n, '', '', '',
       to_char(date '2020-01-01' + n % 2000, 'YYYYMMDD'), '', 'A' || n, '', '', '',
       CASE WHEN n % 100 = 0 THEN 'held' ELSE 'ready' END,
       ARRAY[CASE WHEN n % 200 = 0 THEN 'PT' ELSE 'CT' END],
       now() - n * interval '1 minute',
       array_to_tsvector(ARRAY['name' || n, 'p' || n % 5000])
FROM generate_series(1, $2) AS n
"""
_SEARCHES = {
    "all": StudyFilter(),
    "ascending": StudyFilter(order=StudyOrder.RECEIVED_ASCENDING),
    "by day": StudyFilter(order=StudyOrder.STUDY_DATE_DESCENDING),
    "word": StudyFilter(text="name1234"),
    "words": StudyFilter(text="name12 p1"),
    "uid": StudyFilter(study_instance_uid="1.2.77"),
    "patient": StudyFilter(patient_id_text="P77"),
    "patient of a third of all": StudyFilter(patient_id_text="P5000"),
    "accession": StudyFilter(accession_number="A77"),
    "modality": StudyFilter(modality="PT"),
    "common modality": StudyFilter(modality="CT"),
    "state": StudyFilter(state=StudyState.HELD),
    "days": StudyFilter(day_from="20200105", day_to="20200106"),
    "days in order": StudyFilter(
        day_from="20200105", day_to="20200206", order=StudyOrder.STUDY_DATE_DESCENDING
    ),
    "no such word": StudyFilter(text="zzz"),
    "no such modality": StudyFilter(modality="XX"),
    "rare, and another": StudyFilter(text="name12", modality="PT"),
    "common word of the past": StudyFilter(text="p1", modality="CT"),
    "year": StudyFilter(day_from="20220101", day_to="20221231"),
    "year and modality": StudyFilter(day_from="20220101", day_to="20221231", modality="PT"),
    "to a day": StudyFilter(day_to="20201231"),
    "no such day": StudyFilter(day_from="19990101", day_to="19991231"),
    "ascending days": StudyFilter(
        day_from="20220101", day_to="20220131", order=StudyOrder.RECEIVED_ASCENDING
    ),
    "held and modality": StudyFilter(modality="PT", state=StudyState.HELD),
    "patient and state": StudyFilter(patient_id_text="P77", state=StudyState.READY),
    "together": StudyFilter(text="name1", modality="CT", state=StudyState.READY),
}


def _nodes(plan: dict[str, Any]) -> list[str]:
    below = [node for child in plan.get("Plans", ()) for node in _nodes(child)]
    return [plan["Node Type"], *below]


@pytest.fixture
async def filled(pool: Pool) -> Pool:
    await apply(pool, ["services.coordinator.archive"])
    patient_id = new_id()
    await pool.execute(
        "INSERT INTO archive.patient (patient_id, patient_key, patient_id_text,"
        " issuer_of_patient_id) VALUES ($1, '', '', '')",
        patient_id,
    )
    await pool.execute(_FILL, patient_id, _ROWS)
    await pool.execute("VACUUM ANALYZE archive.study")
    return pool


async def _plans(filled: Pool, wanted: StudyFilter, after: StudyKey | None) -> list[list[str]]:
    """Plans of all statements that the search of a page runs."""
    plans: list[list[str]] = []
    searches = Searches(filled)
    async with searches.statement() as borrowed:
        page = Explained(borrowed, StudyList(wanted), 51, after)
        await page.read()
    plans += page.plans
    return plans


class Explained(Page):
    """Explains each statement before it is run."""

    plans: list[list[str]]

    async def _fetch(self, statement: Statement) -> Sequence[asyncpg.Record]:
        text, parameters = statement
        self.plans = getattr(self, "plans", [])
        if not text.startswith("EXPLAIN"):
            plan = await self._borrowed.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *parameters)
            self.plans.append(_nodes(json.loads(plan)[0]["Plan"]))
        return await super()._fetch(statement)


async def test_no_search_reads_the_whole_table(filled: Pool) -> None:
    plans: dict[str, list[list[str]]] = {}
    for name, wanted in _SEARCHES.items():
        by_day = wanted.order is StudyOrder.STUDY_DATE_DESCENDING
        for after in (None, StudyKey("20240101" if by_day else TIME, new_id())):
            plans[f"{name}, {after}"] = await _plans(filled, wanted, after)

    assert all(plans.values())
    whole = {
        name: nodes for name, nodes in plans.items() if any("Seq Scan" in node for node in nodes)
    }
    assert whole == {}


async def test_every_way_of_searching_finds_the_same_page(filled: Pool) -> None:
    differing: list[str] = []
    search = StudySearch(Searches(filled))
    for name, wanted in _SEARCHES.items():
        by_day = wanted.order is StudyOrder.STUDY_DATE_DESCENDING
        first = await search.page(wanted, 51, None)
        after = StudyKey.of(first[-1], wanted.order) if first else None
        for place in (None, after, StudyKey("20230101" if by_day else LATER, new_id())):
            text, parameters = StudyList(wanted).ordered(51, place)
            plain = [str(row["study_id"]) for row in await filled.fetch(text, *parameters)]
            found = [study.study_id for study in await search.page(wanted, 51, place)]
            if found != plain:
                differing.append(name)

    assert differing == []

"""Searches use their indexes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.coordinator.archive.search import StudyFilter, search_statement
from services.coordinator.archive.study import StudyKey, StudyOrder, StudyState
from services.runtime.ids import new_id
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, transaction
from tests.services.coordinator.archive.arrivals import TIME

pytestmark = pytest.mark.postgres

_ROWS = 20_000
_FILL = """
INSERT INTO archive.study
    (study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
     patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
     accession_number, study_id_text, study_description, referring_physician_name, state,
     modalities, first_receive_time, search)
SELECT gen_random_uuid(), '1.2.' || n, $1, 'P' || n % 5000, '', 'Name' || n, '', '',
       '', to_char(date '2020-01-01' + n % 2000, 'YYYYMMDD'), '', 'A' || n, '', '', '',
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
    "accession": StudyFilter(accession_number="A77"),
    "modality": StudyFilter(modality="PT"),
    "common modality": StudyFilter(modality="CT"),
    "state": StudyFilter(state=StudyState.HELD),
    "days": StudyFilter(day_from="20200105", day_to="20200106"),
    "days in order": StudyFilter(
        day_from="20200105", day_to="20200206", order=StudyOrder.STUDY_DATE_DESCENDING
    ),
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


async def test_no_search_reads_the_whole_table(filled: Pool) -> None:
    scans: dict[str, list[str]] = {}
    for name, wanted in _SEARCHES.items():
        place = "20240101" if wanted.order is StudyOrder.STUDY_DATE_DESCENDING else TIME
        for after in (None, StudyKey(place, new_id())):
            statement, parameters = search_statement(wanted, 51, after)
            async with transaction(filled) as connection:
                await connection.execute("SET LOCAL plan_cache_mode TO force_custom_plan")
                text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *parameters)
            scans[f"{name}, {after}"] = _nodes(json.loads(text)[0]["Plan"])

    assert {name: nodes for name, nodes in scans.items() if "Seq Scan" in nodes} == {}

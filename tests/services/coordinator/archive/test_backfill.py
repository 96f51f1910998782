"""Rows that an earlier version wrote are filled in, and found before and after."""

from __future__ import annotations

import pytest

from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.backfill import Backfill
from services.coordinator.archive.indexer import Indexer
from services.coordinator.archive.words import name_key
from services.runtime.migrate import apply, migrations
from services.runtime.postgres import Pool, transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive
from tests.services.coordinator.archive.test_query import STUDY, query, values, wild

pytestmark = pytest.mark.postgres

_FORGET = """
UPDATE archive.study SET patient_name_key = NULL, referring_physician_name_key = NULL;
UPDATE archive.series SET protocol_name = NULL, station_name = NULL, series_date = NULL;
UPDATE archive.instance SET transfer_syntax_uid = NULL, number_of_frames = NULL;
"""
_FILLED = """
SELECT s.patient_name_key, e.protocol_name, e.series_date, i.transfer_syntax_uid,
       i.number_of_frames
FROM archive.study AS s JOIN archive.series AS e USING (study_id)
JOIN archive.instance AS i USING (series_id)
"""


async def test_what_rows_of_before_lack_is_filled_in_from_their_attributes(
    archive: Archive,
) -> None:
    index = InstanceAttributes(
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        number_of_frames=4,
        protocol_name="Routine",
        series_date="20260102",
    )
    one = study(patient_name="Müller^Änne")
    await archive.add(arrival(one, attributes=index.SerializeToString()))
    await archive.pool.execute(_FORGET)
    before = await query(archive, STUDY, wild("PatientName", "M?LLER*"))
    exact = await query(archive, STUDY, values("PatientID", "P1"))
    backfill = Backfill(archive.pool)

    filled = [await backfill.fill(), await backfill.fill()]

    row = await archive.pool.fetchrow(_FILLED)
    assert filled == [3, 0]
    assert row is not None
    assert tuple(row) == (
        name_key("Müller^Änne"),
        "Routine",
        "20260102",
        "1.2.840.10008.1.2.1",
        4,
    )
    # Without the key a name is still found by its plain letters.
    assert len(before) == len(exact) == 1
    assert len(await query(archive, STUDY, wild("PatientName", "muller*"))) == 1


async def test_a_database_that_is_filled_takes_every_migration(pool: Pool) -> None:
    package = "services.coordinator.archive"
    first, *later = migrations(package)
    await pool.execute(first.sql)
    await pool.execute(_OLD_ROW)
    for migration in later:
        await pool.execute(migration.sql)

    await apply(pool, ["services.coordinator.events"])
    await Backfill(pool).fill()
    async with transaction(pool) as connection:
        (indexed,) = await Indexer().index(connection, [arrival(study("1.2.9"))])

    assert indexed.held.study_instance_uid == "1.2.9"
    keys = await pool.fetch("SELECT patient_name_key FROM archive.study ORDER BY 1")
    assert [row[0] for row in keys] == ["=doe^jane=", "=old^name="]


_OLD_ROW = """
INSERT INTO archive.patient (patient_id, patient_key, patient_id_text, issuer_of_patient_id)
VALUES (gen_random_uuid(), 'k', 'P1', '');
INSERT INTO archive.study
    (study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
     patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
     accession_number, study_id_text, study_description, referring_physician_name, search)
SELECT gen_random_uuid(), '1.2.8', patient_id, 'P1', '', 'Old^Name', '', '', '', '', '', '', '',
       '', '', '' FROM archive.patient;
"""

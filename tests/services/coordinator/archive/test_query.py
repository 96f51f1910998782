"""Queries with the matching kinds of C-FIND and QIDO-RS, over a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.arrival import SeriesAttributes
from services.runtime.client import error_info
from services.runtime.postgres import transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive

pytestmark = pytest.mark.postgres

PATIENT, STUDY = pb.QUERY_LEVEL_PATIENT, pb.QUERY_LEVEL_STUDY
SERIES, INSTANCE = pb.QUERY_LEVEL_SERIES, pb.QUERY_LEVEL_INSTANCE

_PEOPLE = [
    study("1.2.1", patient_name="Müller^Änne", patient_id_text="M-1", accession_number="A/1"),
    study(
        "1.2.2",
        patient_name="O'Neil^Sean^^Dr",
        patient_id_text="100%",
        accession_number="A_2",
        study_date="2025.12.31",
        study_time="23:59:30.5",
        referring_physician_name="Gödel^Kurt",
    ),
    study(
        "1.2.3",
        patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう",
        patient_id_text="x" * 1024,
        study_description="100% MR\\Schädel",
        study_date="20260103",
        study_time="12",
        patient_birth_date="1970.01.01",
    ),
    study(
        "1.2.4",
        patient_name="MULLER",
        patient_id_text="",
        patient_sex="",
        study_date="soon",
        study_time="noon",
        accession_number="",
        study_id_text="",
    ),
]
_ALL = ["1.2.4", "1.2.3", "1.2.2", "1.2.1"]


def values(keyword: str, *several: str) -> pb.AttributeMatch:
    return pb.AttributeMatch(keyword=keyword, values=pb.ValueList(values=several))


def wild(keyword: str, pattern: str) -> pb.AttributeMatch:
    return pb.AttributeMatch(keyword=keyword, wildcard=pattern)


def between(keyword: str, first: str, last: str) -> pb.AttributeMatch:
    ends = {"from": first, "to": last}
    return pb.AttributeMatch(keyword=keyword, range=pb.ValueRange(**ends))


async def query(
    archive: Archive, level: pb.QueryLevel.ValueType, *matches: pb.AttributeMatch, **more: Any
) -> list[pb.QueryRow]:
    request = pb.QueryRequest(level=level, matches=matches, **more)
    return [row async for batch in archive.stub.Query(request) for row in batch.rows]


async def uids(archive: Archive, *matches: pb.AttributeMatch, **more: Any) -> list[str]:
    rows = await query(archive, STUDY, *matches, **more)
    return [row.study.study_instance_uid for row in rows]


@pytest.fixture
async def people(archive: Archive) -> Archive:
    for one in _PEOPLE:
        await archive.add(arrival(one))
    await archive.add(arrival(_PEOPLE[0], modality="SR"))
    return archive


_STUDY_MATCHES: list[tuple[pb.AttributeMatch, list[str]]] = [
    (values("PatientID", "M-1"), ["1.2.1"]),
    (values("PatientID", "m-1"), []),
    (values("PatientID", "M-1", "100%"), ["1.2.2", "1.2.1"]),
    (values("PatientID", "x" * 1024), ["1.2.3"]),
    (values("PatientID", "x" * 1023), []),
    (values("PatientID", "' OR ''='"), []),
    (wild("PatientID", "M*"), ["1.2.1"]),
    (wild("PatientID", "?-1"), ["1.2.1"]),
    (wild("PatientID", "%*"), []),
    (wild("PatientID", "100%*"), ["1.2.2"]),
    (wild("PatientID", "*x"), ["1.2.3"]),
    (wild("PatientID", "M-?1"), []),
    (wild("PatientID", "*"), _ALL),
    (wild("PatientID", "**"), _ALL),
    (wild("AccessionNumber", "A_?"), ["1.2.2"]),
    (wild("AccessionNumber", "A_*"), ["1.2.2"]),
    (wild("StudyDescription", "*MR\\*"), ["1.2.3"]),
    (wild("StudyDescription", "'; DROP TABLE archive.study; --*"), []),
    (values("PatientName", "muller^anne"), ["1.2.1"]),
    (values("PatientName", "MÜLLER^ÄNNE^^^"), ["1.2.1"]),
    (values("PatientName", "Müller"), ["1.2.4"]),
    (values("PatientName", "山田^太郎"), ["1.2.3"]),
    (values("PatientName", "Yamada^Tarou=山田^太郎=やまだ^たろう"), ["1.2.3"]),
    (wild("PatientName", "mull*"), ["1.2.4", "1.2.1"]),
    (wild("PatientName", "*ann*"), ["1.2.1"]),
    (wild("PatientName", "M?ller^*"), ["1.2.1"]),
    (wild("PatientName", "o'neil^s*"), ["1.2.2"]),
    (wild("PatientName", "*%*"), []),
    (wild("PatientName", "*やまだ*"), ["1.2.3"]),
    (values("ReferringPhysicianName", "godel^kurt"), ["1.2.2"]),
    (wild("ReferringPhysicianName", "G?del*"), ["1.2.2"]),
    (values("PatientBirthDate", "19700101"), ["1.2.4", "1.2.3", "1.2.2", "1.2.1"]),
    (between("PatientBirthDate", "19700102", ""), []),
    (values("PatientSex", "F"), ["1.2.3", "1.2.2", "1.2.1"]),
    (values("StudyInstanceUID", "1.2.3", "1.2.1", "9.9"), ["1.2.3", "1.2.1"]),
    (values("StudyDate", "20251231"), ["1.2.2"]),
    (between("StudyDate", "20251231", "20260102"), ["1.2.2", "1.2.1"]),
    (between("StudyDate", "20260102", ""), ["1.2.3", "1.2.1"]),
    (between("StudyDate", "", "2025.12.31"), ["1.2.2"]),
    (wild("StudyDate", "202601*"), ["1.2.3", "1.2.1"]),
    (values("StudyTime", "101112"), ["1.2.1"]),
    (values("StudyTime", "10"), ["1.2.1"]),
    (values("StudyTime", "10:11"), ["1.2.1"]),
    (values("StudyTime", "101112.5"), []),
    (between("StudyTime", "1000", "12"), ["1.2.3", "1.2.1"]),
    (between("StudyTime", "235930.6", ""), []),
    (between("StudyTime", "235930.5", ""), ["1.2.2"]),
    (values("ModalitiesInStudy", "SR", "PT"), ["1.2.1"]),
    (wild("ModalitiesInStudy", "S*"), ["1.2.1"]),
    (values("StudyID", "1"), ["1.2.3", "1.2.2", "1.2.1"]),
    (values("IssuerOfPatientID", "H"), []),
]


async def test_each_kind_of_matching_finds_what_the_standard_says(people: Archive) -> None:
    found = [(match, await uids(people, match)) for match, _ in _STUDY_MATCHES]

    assert [row for row in found if row not in _STUDY_MATCHES] == []
    assert await uids(people) == _ALL


async def test_a_date_and_its_time_are_one_range_of_instants(people: Archive) -> None:
    def instants(*ends: str) -> list[pb.AttributeMatch]:
        return [between("StudyDate", *ends[:2]), between("StudyTime", *ends[2:])]

    cases = [
        (instants("20251231", "20260102", "235930", "101112"), ["1.2.2", "1.2.1"]),
        (instants("20251231", "20260102", "235931", "101112"), ["1.2.1"]),
        (instants("20251231", "20260103", "235930", "1159"), ["1.2.2", "1.2.1"]),
        (instants("20260102", "20260102", "09", "11"), ["1.2.1"]),
        (instants("20260102", "", "11", ""), ["1.2.3"]),
        (instants("", "20260102", "", "1011"), ["1.2.2", "1.2.1"]),
    ]

    assert [(keys, await uids(people, *keys)) for keys, _ in cases] == cases


_FUZZY = [
    (values("PatientName", "ann"), ["1.2.1"]),
    (values("PatientName", "an mul"), ["1.2.1"]),
    (values("PatientName", "neil"), ["1.2.2"]),
    (values("PatientName", "o'neil"), ["1.2.2"]),
    (values("PatientName", "taro"), ["1.2.3"]),
    (values("PatientName", "uller"), []),
    # A word of the description is none of the name.
    (values("PatientName", "thorax"), []),
    (values("PatientName", "sean", "太郎"), ["1.2.3", "1.2.2"]),
    (values("ReferringPhysicianName", "kur"), ["1.2.2"]),
    (wild("PatientName", "*ller*"), ["1.2.4", "1.2.1"]),
]


async def test_fuzzy_names_match_by_the_beginnings_of_words(people: Archive) -> None:
    found = [(match, await uids(people, match, fuzzy_names=True)) for match, _ in _FUZZY]

    assert found == _FUZZY


async def test_keys_are_and_ed(people: Archive) -> None:
    both = [wild("PatientName", "mul*"), values("ModalitiesInStudy", "SR")]

    assert await uids(people, *both) == ["1.2.1"]
    assert await uids(people, *both, values("PatientID", "100%")) == []


async def test_a_key_that_cannot_be_matched_is_named(people: Archive) -> None:
    wrong: list[tuple[pb.QueryLevel.ValueType, pb.AttributeMatch, str]] = [
        (STUDY, values("NumberOfStudyRelatedInstances", "1"), "NumberOfStudyRelatedInstances"),
        (STUDY, values("Modality", "CT"), "Modality"),
        (PATIENT, values("StudyDate", "20260101"), "StudyDate"),
        (STUDY, values("patient_id; --", "1"), "matches.keyword"),
        (STUDY, values("StudyDate", "today"), "StudyDate"),
        (STUDY, between("StudyTime", "25x", ""), "StudyTime"),
        (STUDY, wild("StudyTime", "10*"), "StudyTime"),
        (STUDY, wild("StudyInstanceUID", "1.2.*"), "StudyInstanceUID"),
        (STUDY, between("PatientName", "A", "B"), "PatientName"),
        (SERIES, values("SeriesNumber", "99999999999"), "SeriesNumber"),
        (STUDY, values("PatientID"), "matches.values"),
        (STUDY, values("PatientID", " "), "matches.values"),
        (STUDY, values("PatientID", "a\0b"), "matches.values"),
        (STUDY, wild("PatientID", "x" * 1025), "matches.wildcard"),
        (STUDY, pb.AttributeMatch(keyword="PatientID"), "matches.condition"),
        (pb.QUERY_LEVEL_UNSPECIFIED, values("PatientID", "1"), "level"),
    ]
    named = []
    for level, match, _ in wrong:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await query(people, level, match)
        info = error_info(caught.value)
        assert info is not None
        assert info.reason == "ERROR_REASON_INVALID_FIELD"
        named.append((level, match, info.metadata["field"]))

    assert named == wrong


async def test_limit_and_offset_cut_a_stable_order(people: Archive) -> None:
    one = values("PatientSex", "F")

    assert await uids(people, limit=2) == ["1.2.4", "1.2.3"]
    assert await uids(people, limit=2, offset=1) == ["1.2.3", "1.2.2"]
    assert await uids(people, offset=3) == ["1.2.1"]
    assert await uids(people, offset=9) == []
    assert await uids(people, one, limit=1, offset=1) == ["1.2.2"]
    assert await uids(people, one, offset=2) == ["1.2.1"]


async def test_patients_are_counted_over_their_studies(archive: Archive) -> None:
    first = study("1.2.1", patient_name="Old^Name")
    await archive.add(arrival(first), arrival(first, number=2), arrival(first, modality="SR"))
    await archive.add(arrival(study("1.2.2", patient_name="New^Name")))
    await archive.add(arrival(study("1.2.3", issuer_of_patient_id="OTHER")))

    rows = [row.patient for row in await query(archive, PATIENT)]
    named = [row.patient for row in await query(archive, PATIENT, wild("PatientName", "old*"))]

    assert [(p.patient_id, p.issuer_of_patient_id) for p in rows] == [("P1", "OTHER"), ("P1", "")]
    assert (rows[1].study_count, rows[1].series_count, rows[1].instance_count) == (2, 3, 4)
    assert rows[1].patient_name == "New^Name"
    assert named == [rows[1]]


async def test_series_are_found_by_their_own_attributes_and_those_above(archive: Archive) -> None:
    head = SeriesAttributes("1.2.1.1", "CT", "Thin", 3, "CHEST", "Routine", "CT01", "20260102")
    index = InstanceAttributes(
        study_instance_uid="1.2.1", series_instance_uid="1.2.1.1", station_name="CT01"
    ).SerializeToString()
    await archive.add(
        arrival(series=head, number=2, attributes=b""), arrival(series=head, attributes=index)
    )
    await archive.add(arrival(modality="SR"))
    await archive.add(arrival(study("1.2.2")))

    async def found(*matches: pb.AttributeMatch) -> list[str]:
        rows = await query(archive, SERIES, *matches)
        return [row.series.series_instance_uid for row in rows]

    (row,) = await query(archive, SERIES, values("SeriesInstanceUID", "1.2.1.1"))
    assert row.series.attributes.station_name == "CT01"
    assert (row.series.instance_count, row.study.study_instance_uid) == (2, "1.2.1")
    assert len(await found()) == 3
    assert len(await found(values("Modality", "CT"))) == 2
    for match in (
        wild("ProtocolName", "rout*"),
        wild("StationName", "ct01"),
        values("SeriesNumber", "4"),
        between("SeriesNumber", "4", ""),
        between("SeriesDate", "", "20260101"),
    ):
        assert await found(match) == []
    for match in (
        wild("ProtocolName", "Rout*"),
        values("StationName", "CT01"),
        values("SeriesNumber", "+3"),
        between("SeriesNumber", "2", "3"),
        between("SeriesDate", "20260101", "20260102"),
        values("BodyPartExamined", "CHEST"),
        wild("SeriesDescription", "Th?n"),
    ):
        assert await found(match, values("StudyInstanceUID", "1.2.1")) == ["1.2.1.1"]


async def test_instances_come_with_their_series_and_study(archive: Archive) -> None:
    await archive.add(*(arrival(number=n) for n in (3, 1, 2)), arrival(number=None))
    await archive.add(arrival(study("1.2.2")))

    rows = await query(
        archive, INSTANCE, values("StudyInstanceUID", "1.2.1"), between("InstanceNumber", "2", "")
    )
    sr = await query(archive, INSTANCE, values("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33"))

    assert {row.study.study_instance_uid for row in rows} == {"1.2.1"}
    assert {row.series.modality for row in rows} == {"CT"}
    assert sorted(row.instance.attributes.sop_instance_uid[-2:] for row in rows) == [".2", ".3"]
    assert all(row.instance.blob.sha256 for row in rows)
    assert sr == []


async def test_many_rows_come_in_batches_however_many_match(archive: Archive) -> None:
    async with transaction(archive.pool) as connection:
        await connection.execute(MANY_STUDIES, 6000)
    request = pb.QueryRequest(level=STUDY, matches=[values("PatientSex", "F")])
    batches = [len(batch.rows) async for batch in archive.stub.Query(request)]
    few = [
        len(batch.rows)
        async for batch in archive.stub.Query(
            pb.QueryRequest(level=STUDY, matches=[wild("PatientID", "P1*")])
        )
    ]
    found = await uids(archive, limit=1500, offset=10)

    days = between("StudyDate", "20260101", "20260107")
    of_days = await uids(archive, days)
    plain = await archive.pool.fetch(
        "SELECT study_instance_uid FROM archive.study WHERE study_day LIKE '2026010%'"
        " ORDER BY study_id DESC"
    )
    assert of_days == [row[0] for row in plain]
    assert len(of_days) > 5000
    assert await uids(archive, days, limit=50, offset=5030) == of_days[5030:5080]
    assert (sum(batches), max(batches)) == (6000, 200)
    assert (sum(few), max(few)) == (1111, 200)
    assert len(set(found)) == 1500
    assert found == await uids(archive, values("PatientSex", "F"), limit=1500, offset=10)
    assert len(await query(archive, PATIENT, limit=250)) == 250


MANY_STUDIES = """
WITH everyone AS (
    INSERT INTO archive.patient (patient_id, patient_key, patient_id_text, issuer_of_patient_id)
    SELECT gen_random_uuid(), 'key' || n, 'P' || n, '' FROM generate_series(1, $1::integer) AS n
    RETURNING patient_id, patient_id_text
)
INSERT INTO archive.study
    (study_id, study_instance_uid, patient_id, patient_id_text, issuer_of_patient_id,
     patient_name, patient_birth_date, patient_sex, study_date, study_day, study_time,
     accession_number, study_id_text, study_description, referring_physician_name, search)
SELECT gen_random_uuid(), '1.9.' || substr(patient_id_text, 2), patient_id, patient_id_text, '',
       'Name^' || patient_id_text, '', 'F', '', CASE WHEN right(patient_id_text, 2) < '85'
       THEN '2026010' || 1 + right(patient_id_text, 1)::integer % 7 ELSE '20250101' END,
       '', '', '', '', '', ''
FROM everyone
"""

"""The archive, called through a real channel over a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as pb
from services.coordinator.archive.study import StudyState
from services.runtime.client import error_info
from services.runtime.ids import new_id
from services.runtime.postgres import transaction
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive
from tests.services.coordinator.archive.reasons import reason

pytestmark = pytest.mark.postgres


async def _found(archive: Archive, **filters: Any) -> list[str]:
    request = pb.ListStudiesRequest(**filters)
    reply = await archive.stub.ListStudies(request)
    return [one.study_instance_uid for one in reply.studies]


_PEOPLE = [
    study("1.2.1", patient_name="Müller^Änne", patient_id_text="M-1", accession_number="A/1"),
    study("1.2.2", patient_name="O'Neil^Sean", patient_id_text="100%", accession_number="A_2"),
    study(
        "1.2.3",
        patient_name="Yamada^Tarou=山田^太郎=やまだ^たろう",
        study_description="MR Schädel nativ",
        study_date="2025.12.31",
        patient_id_text="x" * 1024,
    ),
    study("1.2.4", patient_name="", patient_id_text="", study_date="", accession_number=""),
]


_TEXTS = [
    ("muller", ["1.2.1"]),
    ("MÜLL änn", ["1.2.1"]),
    ("Müller^Änne", ["1.2.1"]),
    ("uller", []),
    ("muller sean", []),
    ("o'n", ["1.2.2"]),
    ("neil", ["1.2.2"]),
    ("100%", ["1.2.2"]),
    ("%", []),
    ("_", []),
    ("mull*", []),
    ("m:*", []),
    ("' OR 1=1 --", []),
    ("a & b | !c", []),
    ("\\", ["1.2.4", "1.2.3", "1.2.2", "1.2.1"]),
    ("山田", ["1.2.3"]),
    ("schadel", ["1.2.3"]),
    ("A_2", ["1.2.2"]),
    ("  ", ["1.2.4", "1.2.3", "1.2.2", "1.2.1"]),
]


@pytest.fixture
async def people(archive: Archive) -> Archive:
    for one in _PEOPLE:
        await archive.add(arrival(one))
    return archive


async def test_text_finds_beginnings_of_words_and_takes_everything_literally(
    people: Archive,
) -> None:
    found = {text: await _found(people, text=text) for text, _ in _TEXTS}

    assert found == dict(_TEXTS)


_FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"patient_id": "M-1"}, ["1.2.1"]),
    ({"patient_id": "m-1"}, []),
    ({"patient_id": "M-%"}, []),
    ({"patient_id": "x" * 1024}, ["1.2.3"]),
    ({"patient_id": "x" * 1023}, []),
    ({"patient_id": "' OR ''='"}, []),
    ({"accession_number": "A_2"}, ["1.2.2"]),
    ({"accession_number": "A/2"}, []),
    ({"study_instance_uid": "1.2.3"}, ["1.2.3"]),
    ({"study_instance_uid": "1.2.3'; DROP TABLE archive.study; --"}, []),
    ({"modality": "CT"}, ["1.2.4", "1.2.3", "1.2.2", "1.2.1"]),
    ({"modality": "C"}, []),
    ({"modality": "{CT}"}, []),
    ({"state": pb.STUDY_STATE_RECEIVING}, ["1.2.4", "1.2.3", "1.2.2", "1.2.1"]),
    ({"state": pb.STUDY_STATE_READY}, []),
    ({"study_date_from": "20251231", "study_date_to": "20251231"}, ["1.2.3"]),
    ({"study_date_to": "20251231"}, ["1.2.3"]),
    ({"study_date_from": "20260101"}, ["1.2.2", "1.2.1"]),
    ({"order": pb.STUDY_ORDER_RECEIVED_ASCENDING}, ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]),
    ({"order": pb.STUDY_ORDER_STUDY_DATE_DESCENDING}, ["1.2.2", "1.2.1", "1.2.3", "1.2.4"]),
    ({"text": "muller", "modality": "CT", "patient_id": "M-1"}, ["1.2.1"]),
    ({"text": "muller", "patient_id": "100%"}, []),
]


async def test_filters_match_exactly_and_together(people: Archive) -> None:
    found = [(filters, await _found(people, **filters)) for filters, _ in _FILTERS]

    assert found == _FILTERS


_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"page_size": -1}, "page_size"),
    ({"page_size": 501}, "page_size"),
    ({"page_token": "nonsense"}, "page_token"),
    ({"state": 99}, "state"),
    ({"order": 99}, "order"),
    ({"text": "x" * 129}, "text"),
    ({"text": "a\0b"}, "text"),
    ({"patient_id": "\0"}, "patient_id"),
    ({"study_date_from": "2026-01-01"}, "study_date_from"),
    ({"study_date_to": "\u0662\u0660\u0662\u0666\u0660\u0661\u0660\u0661"}, "study_date_to"),
]


async def test_fields_that_break_a_rule_are_named(archive: Archive) -> None:
    named = []
    for filters, _ in _WRONG:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _found(archive, **filters)
        info = error_info(caught.value)
        assert info is not None
        named.append((filters, info.metadata["field"]))

    assert named == _WRONG


@pytest.mark.parametrize(
    "order",
    [
        pb.STUDY_ORDER_RECEIVED_DESCENDING,
        pb.STUDY_ORDER_RECEIVED_ASCENDING,
        pb.STUDY_ORDER_STUDY_DATE_DESCENDING,
    ],
)
async def test_pages_show_every_study_once_while_more_arrive(
    archive: Archive, order: pb.StudyOrder.ValueType
) -> None:
    # One transaction: all have the same time, so only the id tells them apart.
    await archive.add(
        *(arrival(study(f"1.2.{n}", study_date=f"2026010{n % 3}")) for n in range(1, 24))
    )
    expected = await _found(archive, order=order, page_size=500)
    pages: list[list[str]] = []
    token = ""
    while True:
        reply = await archive.stub.ListStudies(
            pb.ListStudiesRequest(page_size=5, page_token=token, order=order)
        )
        pages.append([one.study_instance_uid for one in reply.studies])
        token = reply.next_page_token
        if not token or len(pages) > 20:
            break
        if order != pb.STUDY_ORDER_RECEIVED_ASCENDING:
            await archive.add(arrival(study(f"1.3.{len(pages)}", study_date="20270101")))

    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert [uid for page in pages for uid in page] == expected


async def test_a_token_of_other_filters_is_refused(archive: Archive) -> None:
    await archive.add(*(arrival(study(f"1.2.{n}")) for n in range(1, 4)))
    reply = await archive.stub.ListStudies(pb.ListStudiesRequest(page_size=1))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _found(archive, page_token=reply.next_page_token, modality="CT")

    assert reason(caught.value) == "ERROR_REASON_INVALID_FIELD"


async def test_a_study_is_got_by_either_name(archive: Archive) -> None:
    (indexed, _) = await archive.add(arrival(), arrival(modality="SR"))

    by_id = await archive.stub.GetStudy(pb.GetStudyRequest(study_id=indexed.held.study_id))
    by_uid = await archive.stub.GetStudy(pb.GetStudyRequest(study_instance_uid="1.2.1"))

    assert by_id == by_uid
    assert by_id.study.patient_name == "Doe^Jane"
    assert list(by_id.study.modalities) == ["CT", "SR"]
    assert sorted(series.modality for series in by_id.series) == ["CT", "SR"]
    assert by_id.study.state == pb.STUDY_STATE_RECEIVING


async def test_unknown_and_unnamed_studies_are_told_apart(archive: Archive) -> None:
    requests = [
        pb.GetStudyRequest(),
        pb.GetStudyRequest(study_id=""),
        pb.GetStudyRequest(study_id="1.2.1"),
        pb.GetStudyRequest(study_instance_uid="x"),
        pb.GetStudyRequest(study_id=new_id()),
        pb.GetStudyRequest(study_instance_uid="1.2.999"),
    ]
    reasons = []
    for request in requests:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await archive.stub.GetStudy(request)
        assert "1.2.999" not in str(error_info(caught.value))
        reasons.append(reason(caught.value))

    assert reasons == ["ERROR_REASON_INVALID_FIELD"] * 4 + ["ERROR_REASON_STUDY_NOT_FOUND"] * 2


async def test_instances_come_by_number_then_by_arrival(archive: Archive) -> None:
    numbers = [3, None, 1, 2, None, -1]
    indexed = await archive.add(
        *(
            arrival(number=number, sop_instance_uid=f"1.2.1.5.{place}")
            for place, number in enumerate(numbers)
        )
    )
    series_id = indexed[0].held.series_id
    found: list[str] = []
    token = ""
    while True:
        reply = await archive.stub.ListInstances(
            pb.ListInstancesRequest(series_id=series_id, page_size=1, page_token=token)
        )
        found.extend(one.instance_id for one in reply.instances)
        token = reply.next_page_token
        if not token:
            break

    ids = [one.held.instance_id for one in indexed]
    assert found == [ids[5], ids[2], ids[3], ids[0], ids[1], ids[4]]


async def test_instances_of_an_unknown_series_are_not_found(archive: Archive) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await archive.stub.ListInstances(pb.ListInstancesRequest(series_id=new_id()))

    assert reason(caught.value) == "ERROR_REASON_SERIES_NOT_FOUND"


async def test_states_are_filtered_and_told_once(archive: Archive) -> None:
    (indexed,) = await archive.add(arrival())
    study_id = indexed.held.study_id
    changes = []
    for _ in range(2):
        async with transaction(archive.pool) as connection:
            changes.append(
                await archive.store.set_study_state(connection, study_id, StudyState.READY)
            )

    assert changes == [True, False]
    assert await _found(archive, state=pb.STUDY_STATE_READY) == ["1.2.1"]
    rows = await archive.pool.fetch(
        "SELECT state FROM events.event WHERE type = 'STUDY_STATE_CHANGED'"
    )
    assert [row["state"] for row in rows] == ["STUDY_STATE_READY"]

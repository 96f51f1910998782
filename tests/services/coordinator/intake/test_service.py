"""Intake, called through a real channel over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter
from typing import Any, cast

import pytest

from heimdallr.errors.v1 import error_reason_pb2
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.coordinator.archive.study import Evidence, StudyState
from services.runtime.postgres import transaction
from tests.services.coordinator.intake.conftest import Intake
from tests.services.coordinator.intake.counting import STORED
from tests.services.coordinator.intake.envelopes import (
    attributes,
    blob_of,
    instance,
)

pytestmark = pytest.mark.postgres


_DUPLICATE = pb.DISPOSITION_DUPLICATE


_CONFLICT = pb.DISPOSITION_CONFLICT


async def _count(intake: Intake, table: str) -> int:
    return int(await intake.pool.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608


async def _events(intake: Intake) -> list[str]:
    rows = await intake.pool.fetch("SELECT type FROM events.event ORDER BY event_id")
    return [row["type"] for row in rows]


async def test_stores_a_new_study_with_its_series_and_instances(intake: Intake) -> None:
    data = await intake.stage()

    answers = await intake.send(
        instance(attributes("1.2.1", "1.2.1.1", 1, modality="CT"), data),
        instance(attributes("1.2.1", "1.2.1.1", 2, modality="CT"), data),
        instance(attributes("1.2.1", "1.2.1.2", 1, modality="SR"), data),
    )

    assert [a.accepted.disposition for a in answers] == [STORED] * 3
    study = await intake.archive.study_record(answers[0].accepted.study_id)
    assert study is not None
    assert (study.instance_count, study.series_count) == (3, 2)
    assert study.modalities == ("CT", "SR")
    assert (study.state, study.generation) == (StudyState.RECEIVING, 1)
    assert await _events(intake) == ["STUDY_CREATED"]


@pytest.mark.parametrize("one_stream", [True, False])
async def test_equal_bytes_again_are_a_duplicate_that_changes_nothing(
    intake: Intake, *, one_stream: bool
) -> None:
    data = await intake.stage()
    envelope = instance(attributes(), data)

    if one_stream:
        first, again = await intake.send(envelope, envelope)
    else:
        (first,) = await intake.send(envelope)
        before = await intake.pool.fetchrow("SELECT * FROM archive.study")
        (again,) = await intake.send(envelope)
        assert await intake.pool.fetchrow("SELECT * FROM archive.study") == before

    assert first.accepted.disposition == STORED
    assert again.accepted.disposition == _DUPLICATE
    assert again.accepted.instance_id == first.accepted.instance_id
    assert await _count(intake, "archive.instance") == 1


async def test_a_duplicate_of_a_complete_study_opens_no_generation(intake: Intake) -> None:
    (first,) = await intake.slices("1.2.1", 1)
    study_id = first.accepted.study_id
    async with transaction(intake.pool) as connection:
        await intake.archive.set_study_state(
            connection, study_id, StudyState.COMPLETE, Evidence.QUIET
        )

    await intake.slices("1.2.1", 1)

    study = await intake.archive.study_record(study_id)
    assert study is not None
    assert (study.state, study.evidence, study.generation) == (
        StudyState.COMPLETE,
        Evidence.QUIET,
        1,
    )
    assert intake.opened == []


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_other_bytes_under_a_taken_uid_are_kept_aside(
    intake: Intake, *, elsewhere: bool
) -> None:
    (first,) = await intake.slices("1.2.1", 1)
    other = await intake.stage(b"other bytes")
    uid = attributes("1.2.1").sop_instance_uid
    study = "1.2.9" if elsewhere else "1.2.1"
    envelope = instance(attributes(study, sop_instance_uid=uid), other)

    (answer,) = await intake.send(envelope)
    (again,) = await intake.send(envelope)

    assert answer.accepted.disposition == again.accepted.disposition == _CONFLICT
    assert answer.accepted.study_id == first.accepted.study_id
    kept = await intake.pool.fetch("SELECT sha256 FROM archive.conflict")
    assert [row["sha256"] for row in kept] == [blob_of(other).sha256]
    record = await intake.archive.study_record(first.accepted.study_id)
    assert record is not None
    assert record.conflict_count == 1
    assert await _count(intake, "archive.study") == 1
    assert await _count(intake, "archive.instance") == 1
    assert (await _events(intake)).count("INSTANCE_CONFLICT") == 1


async def test_a_conflict_within_one_batch_keeps_the_first(intake: Intake) -> None:
    one, two = await intake.stage(b"one"), await intake.stage(b"two")

    answers = await intake.send(
        instance(attributes(), one), instance(attributes(), two), instance(attributes(), one)
    )

    assert [a.accepted.disposition for a in answers] == [STORED, _CONFLICT, _DUPLICATE]


@pytest.mark.parametrize("state", ["complete", "processing", "ready", "held"])
async def test_a_late_instance_opens_a_generation(intake: Intake, state: str) -> None:
    (first,) = await intake.slices("1.2.1", 1)
    study_id = first.accepted.study_id
    async with transaction(intake.pool) as connection:
        await intake.archive.set_study_state(
            connection, study_id, StudyState(state), Evidence.QUIET
        )

    late = await intake.slices("1.2.1", 3, first=2)

    assert [a.accepted.generation for a in late] == [2, 2, 2]
    study = await intake.archive.study_record(study_id)
    assert study is not None
    assert (study.state, study.evidence, study.generation) == (StudyState.RECEIVING, None, 2)
    assert intake.opened == [(study_id, 2)]
    (series,) = await intake.archive.series_records(study_id)
    assert (series.instance_count, series.last_generation) == (4, 2)
    assert (await _events(intake)).count("GENERATION_OPENED") == 1


async def test_parallel_streams_of_one_study_lose_and_double_nothing(intake: Intake) -> None:
    data = await intake.stage()

    async def stream(offset: int) -> list[pb.IngestResponse]:
        return await intake.send(
            *(instance(attributes("1.2.1", number=offset + n), data) for n in range(200))
        )

    answers = [a for part in await asyncio.gather(stream(0), stream(100)) for a in part]

    stored = [a for a in answers if a.accepted.disposition == STORED]
    assert len(stored) == 300
    assert len({a.accepted.study_id for a in answers}) == 1
    study = await intake.archive.study_record(answers[0].accepted.study_id)
    assert study is not None
    assert (study.instance_count, study.series_count) == (300, 1)


_BAD: list[tuple[dict[str, Any], str]] = [
    ({"study_instance_uid": "not a uid"}, "attributes.study_instance_uid"),
    ({"study_instance_uid": ""}, "attributes.study_instance_uid"),
    ({"sop_instance_uid": "1." * 40 + "1"}, "attributes.sop_instance_uid"),
    ({"sop_class_uid": "'; DROP TABLE archive.study; --"}, "attributes.sop_class_uid"),
    ({"transfer_syntax_uid": "1"}, "attributes.transfer_syntax_uid"),
    ({"image_position_mm": [1.0, 2.0]}, "attributes.image_position_mm"),
]


@pytest.mark.parametrize(("changes", "field"), _BAD)
async def test_a_poisoned_envelope_is_rejected_and_its_neighbours_are_stored(
    intake: Intake, changes: dict[str, Any], field: str
) -> None:
    data = await intake.stage()

    good, bad, also_good = await intake.send(
        instance(attributes(number=1), data),
        instance(attributes(number=2, **changes), data),
        instance(attributes(number=3), data),
    )

    assert good.accepted.disposition == also_good.accepted.disposition == STORED
    assert bad.rejected.reason == error_reason_pb2.ERROR_REASON_INVALID_FIELD
    assert bad.rejected.field == field


async def test_envelope_without_door_association_or_content_is_rejected(intake: Intake) -> None:
    data = await intake.stage()
    no_door = instance(attributes(number=1), data)
    no_door.source.door = pb.DOOR_UNSPECIFIED
    no_association = instance(attributes(number=2), data, "not-an-id")
    no_content = instance(attributes(number=3), data)
    no_content.ClearField("staged")
    bad_hash = instance(attributes(number=4), data)
    bad_hash.staged.sha256 = bad_hash.staged.sha256.upper()
    bad_time = instance(attributes(number=5), data)
    bad_time.receive_time.seconds = 1 << 60

    answers = await intake.send(no_door, no_association, no_content, bad_hash, bad_time)

    assert [a.rejected.field for a in answers] == [
        "source.door",
        "source.association_id",
        "content",
        "staged.sha256",
        "receive_time",
    ]


@pytest.mark.parametrize("size", [0, 1])
async def test_a_staged_blob_that_is_not_there_in_full_is_rejected(
    intake: Intake, size: int
) -> None:
    data = await intake.stage()
    absent = instance(attributes(), data)
    if size:
        absent.staged.size_bytes += size
    else:
        absent.staged.CopyFrom(blob_of(b"never staged"))

    (answer,) = await intake.send(absent)

    assert answer.rejected.reason == error_reason_pb2.ERROR_REASON_BLOB_NOT_FOUND
    assert await _count(intake, "archive.study") == 0


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "x" * 10_000, "漢" * 10_000, "'; DROP--\\", "\ud7ff"]
)
async def test_odd_values_in_any_text_do_not_hurt(intake: Intake, text: str) -> None:
    data = await intake.stage()
    names = [
        field.name
        for field in attributes().DESCRIPTOR.fields
        if field.type == field.TYPE_STRING and not field.name.endswith("uid")
    ]

    (answer,) = await intake.send(
        instance(attributes(**cast("dict[str, Any]", dict.fromkeys(names, text))), data)
    )

    assert answer.accepted.disposition == STORED
    study = await intake.archive.study_record(answer.accepted.study_id)
    assert study is not None
    assert study.patient_name == text.replace("\0", "")[:1024]


async def test_instances_without_a_patient_id_do_not_share_a_patient(intake: Intake) -> None:
    data = await intake.stage()

    await intake.send(
        instance(attributes("1.2.1", patient_id=""), data),
        instance(attributes("1.2.2", patient_id=""), data),
        instance(attributes("1.2.3", patient_id="P"), data),
        instance(attributes("1.2.4", patient_id="P"), data),
    )

    assert await _count(intake, "archive.patient") == 3


async def test_five_thousand_instances(intake: Intake, capsys: pytest.CaptureFixture[str]) -> None:
    data = await intake.stage()
    envelopes = [instance(attributes(f"1.2.{n % 20}", number=n), data, None) for n in range(5000)]

    begin = perf_counter()
    answers = await intake.send(*envelopes)
    taken = perf_counter() - begin

    assert {a.accepted.disposition for a in answers} == {STORED}
    assert await _count(intake, "archive.instance") == 5000
    with capsys.disabled():
        sys.stdout.write(f"\n5,000 instances on one stream: {5000 / taken:,.0f} a second\n")

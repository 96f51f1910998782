"""Intake, called through a real channel over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter
from typing import Any, cast

import grpc
import pytest

from heimdallr.errors.v1 import error_reason_pb2
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.coordinator.archive.study import Evidence, StudyState
from services.runtime.client import error_info
from services.runtime.ids import new_id
from services.runtime.postgres import transaction
from tests.services.coordinator.intake.conftest import Intake
from tests.services.coordinator.intake.envelopes import (
    attributes,
    blob_of,
    exchange,
    instance,
)

pytestmark = pytest.mark.postgres

_STORED = pb.DISPOSITION_STORED
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

    assert [a.accepted.disposition for a in answers] == [_STORED] * 3
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

    assert first.accepted.disposition == _STORED
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

    assert [a.accepted.disposition for a in answers] == [_STORED, _CONFLICT, _DUPLICATE]


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

    stored = [a for a in answers if a.accepted.disposition == _STORED]
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

    assert good.accepted.disposition == also_good.accepted.disposition == _STORED
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

    assert answer.accepted.disposition == _STORED
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


def _chunked(data: bytes, sequence: int, size: int, **more: Any) -> list[pb.IngestRequest]:
    envelope = instance(attributes(number=sequence, **more), data, chunked=True)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    chunks = [
        pb.IngestRequest(
            sequence=sequence, chunk=pb.Chunk(data=piece, last=index == len(pieces) - 1)
        )
        for index, piece in enumerate(pieces)
    ]
    return [pb.IngestRequest(sequence=sequence, instance=envelope), *chunks]


async def test_interleaved_chunks_become_durable_blobs(intake: Intake) -> None:
    one = _chunked(b"1" * 3_000_000, 1, 1 << 20)
    two = _chunked(b"2" * 2_500_000, 2, 1 << 20)
    mixed = [request for pair in zip(one, two, strict=True) for request in pair]

    answers = await exchange(intake.stub, mixed)

    assert {a.accepted.disposition for a in answers.values()} == {_STORED}
    rows = await intake.archive.series_instances(answers[1].accepted.series_id)
    stored = [await intake.blobs.read(blob) for blob, _, _ in rows]
    assert stored == [b"1" * 3_000_000, b"2" * 2_500_000]


async def test_wrong_chunks_are_rejected_and_the_stream_goes_on(intake: Intake) -> None:
    wrong_hash = _chunked(b"abc", 1, 10)
    wrong_hash[1].chunk.data = b"abd"
    too_big = _chunked(b"x" * 2_200_000, 2, 1_100_000)
    too_short = _chunked(b"abcdef", 3, 10)
    too_short[1].chunk.data = b"abc"
    bad_envelope = _chunked(b"abc", 4, 1, study_instance_uid="no")
    good = _chunked(b"good", 5, 2)

    answers = await exchange(intake.stub, [*wrong_hash, *too_big, *too_short, *bad_envelope, *good])

    fields = {n: a.rejected.field for n, a in answers.items() if a.HasField("rejected")}
    assert fields == {
        1: "chunked.sha256",
        2: "chunk.data",
        3: "chunked.size_bytes",
        4: "attributes.study_instance_uid",
    }
    assert answers[5].accepted.disposition == _STORED


async def test_more_half_done_instances_than_allowed_are_rejected(intake: Intake) -> None:
    beginnings = [_chunked(b"abc", n, 1)[0] for n in range(1, 7)]

    answers = await exchange(intake.stub, beginnings)

    limited = [n for n, a in answers.items() if a.rejected.field == "chunked"]
    assert limited == [5, 6]
    assert {answers[n].rejected.field for n in range(1, 5)} == {"chunk.last"}
    assert not list((intake.folder / "blobs" / "incoming").iterdir())


@pytest.mark.parametrize(
    "requests",
    [
        [pb.IngestRequest(sequence=1)],
        [pb.IngestRequest(sequence=1, chunk=pb.Chunk(data=b"x"))],
        [
            _chunked(b"abc", 1, 1)[0],
            _chunked(b"abc", 1, 1)[0],
        ],
    ],
)
async def test_a_stream_that_breaks_the_protocol_ends_with_invalid_field(
    intake: Intake, requests: list[pb.IngestRequest]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await exchange(intake.stub, requests)

    info = error_info(caught.value)
    assert info is not None
    assert info.reason == "ERROR_REASON_INVALID_FIELD"


async def test_the_end_of_an_association_is_recorded_and_audited_once(intake: Intake) -> None:
    association_id = new_id()
    await intake.slices("1.2.1", 2, association_id)
    closed = pb.AssociationClosed(
        association_id=association_id,
        released=True,
        instance_count=2,
        source=pb.Source(door=pb.DOOR_DIMSE, calling_ae_title="CT1"),
    )
    request = pb.IngestRequest(sequence=7, association_closed=closed)

    answers = await exchange(intake.stub, [request])

    assert answers[7].HasField("association_recorded")
    row = await intake.pool.fetchrow("SELECT open, released FROM archive.association")
    assert row is not None
    assert (row["open"], row["released"]) == (False, True)
    entries = [e for e in intake.trail.entries if e.object_id == association_id]
    assert [(e.subject, e.entry_id) for e in entries] == [("gateway", association_id)]


async def test_an_association_that_closes_on_the_stream_of_its_instances_is_closed(
    intake: Intake,
) -> None:
    association_id = new_id()
    data = b"y" * 100_000
    requests = _chunked(data, 1, 50_000)
    requests[0].instance.source.association_id = association_id
    closed = pb.AssociationClosed(
        association_id=association_id, released=False, source=pb.Source(door=pb.DOOR_DIMSE)
    )

    await exchange(
        intake.stub, [*requests, pb.IngestRequest(sequence=2, association_closed=closed)]
    )

    row = await intake.pool.fetchrow("SELECT open, released FROM archive.association")
    assert row is not None
    assert (row["open"], row["released"]) == (False, False)


async def test_five_thousand_instances(intake: Intake, capsys: pytest.CaptureFixture[str]) -> None:
    data = await intake.stage()
    envelopes = [instance(attributes(f"1.2.{n % 20}", number=n), data, None) for n in range(5000)]

    begin = perf_counter()
    answers = await intake.send(*envelopes)
    taken = perf_counter() - begin

    assert {a.accepted.disposition for a in answers} == {_STORED}
    assert await _count(intake, "archive.instance") == 5000
    with capsys.disabled():
        sys.stdout.write(f"\n5,000 instances on one stream: {5000 / taken:,.0f} a second\n")

"""Instances whose bytes come over the stream."""

from __future__ import annotations

import grpc
import pytest

from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.runtime.client import error_info
from tests.services.coordinator.intake.conftest import Intake
from tests.services.coordinator.intake.counting import STORED, chunked
from tests.services.coordinator.intake.envelopes import (
    exchange,
)

pytestmark = pytest.mark.postgres


async def test_interleaved_chunks_become_durable_blobs(intake: Intake) -> None:
    one = chunked(b"1" * 3_000_000, 1, 1 << 20)
    two = chunked(b"2" * 2_500_000, 2, 1 << 20)
    mixed = [request for pair in zip(one, two, strict=True) for request in pair]

    answers = await exchange(intake.stub, mixed)

    assert {a.accepted.disposition for a in answers.values()} == {STORED}
    rows = await intake.archive.series_instances(answers[1].accepted.series_id)
    stored = [await intake.blobs.read(blob) for blob, _, _ in rows]
    assert stored == [b"1" * 3_000_000, b"2" * 2_500_000]


async def test_wrong_chunks_are_rejected_and_the_stream_goes_on(intake: Intake) -> None:
    wrong_hash = chunked(b"abc", 1, 10)
    wrong_hash[1].chunk.data = b"abd"
    too_big = chunked(b"x" * 2_200_000, 2, 1_100_000)
    too_short = chunked(b"abcdef", 3, 10)
    too_short[1].chunk.data = b"abc"
    bad_envelope = chunked(b"abc", 4, 1, study_instance_uid="no")
    good = chunked(b"good", 5, 2)

    answers = await exchange(intake.stub, [*wrong_hash, *too_big, *too_short, *bad_envelope, *good])

    fields = {n: a.rejected.field for n, a in answers.items() if a.HasField("rejected")}
    assert fields == {
        1: "chunked.sha256",
        2: "chunk.data",
        3: "chunked.size_bytes",
        4: "attributes.study_instance_uid",
    }
    assert answers[5].accepted.disposition == STORED


async def test_more_half_done_instances_than_allowed_are_rejected(intake: Intake) -> None:
    beginnings = [chunked(b"abc", n, 1)[0] for n in range(1, 7)]

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
            chunked(b"abc", 1, 1)[0],
            chunked(b"abc", 1, 1)[0],
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

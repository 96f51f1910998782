"""Objects that come and go in one stream, through a real channel."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import BytesIO

import grpc
import pydicom
import pytest
import pytest_asyncio
from pydicom.dataset import Dataset

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from services.runtime.client import ServiceCallError, typed_errors
from tests.support.deid_service import PROJECT, RESEARCH, DeidService, running_deid
from tests.support.instances import ct_instance, part10
from tests.support.interceptor_calls import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
Request = pb.DeidentifyInstancesRequest
BEGIN = Request(begin=pb.StreamBegin(project_id=PROJECT, profile=RESEARCH))
OBJECT_BYTES = 16 << 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deid(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DeidService]:
    folder = tmp_path_factory.mktemp("deid")
    async with running_deid(
        folder, processes=2, object_bytes=OBJECT_BYTES, stream_objects=2, seconds=30
    ) as running:
        yield running


@dataclass
class Answers:
    """What a stream answered."""

    outcomes: list[pb.StreamedOutcome] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    certificate: bytes = b""

    def take(self, answer: pb.DeidentifyInstancesResponse) -> None:
        kind = answer.WhichOneof("event")
        if kind == "outcome":
            self.outcomes.append(answer.outcome)
        elif kind == "chunk":
            assert len(answer.chunk) <= 1 << 20
            name = self.outcomes[-1].name
            self.files[name] = self.files.get(name, b"") + answer.chunk
        else:
            self.certificate += answer.certificate


def messages(name: str, file: bytes) -> list[Request]:
    step = 1 << 20
    chunks = [Request(chunk=file[at : at + step]) for at in range(0, len(file), step)]
    return [Request(object=pb.ObjectBegin(name=name, size_bytes=len(file))), *chunks]


async def answered(deid: DeidService, *requests: Request) -> Answers:
    answers = Answers()
    with typed_errors():
        async for answer in deid.stub.DeidentifyInstances(_each(requests)):
            answers.take(answer)
    return answers


async def _each(requests: tuple[Request, ...]) -> AsyncIterator[Request]:
    for request in requests:
        yield request


async def test_objects_come_back_in_order_with_a_certificate_over_all(
    deid: DeidService, ct: Dataset
) -> None:
    large = part10(ct_instance(size=1400))
    objects = {"a": part10(ct), "large": large, "broken": b"no DICOM", "z": part10(ct)}
    requests = [message for name, file in objects.items() for message in messages(name, file)]

    answers = await answered(deid, BEGIN, *requests)

    assert [one.name for one in answers.outcomes] == list(objects)
    assert answers.files.keys() == {"a", "large", "z"}
    for one in answers.outcomes:
        assert one.instance.source_sha256 == hashlib.sha256(objects[one.name]).hexdigest()
        if one.name in answers.files:
            file = answers.files[one.name]
            assert hashlib.sha256(file).hexdigest() == one.instance.released.sha256
            assert one.instance.released.sha256.encode() in answers.certificate
            assert b"KANARIENVOGEL" not in file
    assert answers.outcomes[2].instance.findings[0].code == "INVALID_DICOM"
    assert len(large) > 3 << 20
    before, after = (pydicom.dcmread(BytesIO(one)) for one in (large, answers.files["large"]))
    assert after.PixelData == before.PixelData
    assert deid.left() == []
    assert list(deid.blob_folder.glob("??/*")) == []


async def test_a_caller_may_wait_for_each_answer_before_the_next_object(
    deid: DeidService, ct: Dataset
) -> None:
    call = deid.stub.DeidentifyInstances()
    await call.write(BEGIN)
    answers = Answers()
    for name in ("one", "two"):
        for message in messages(name, part10(ct)):
            await call.write(message)
        while name not in answers.files:
            answer = await call.read()
            assert isinstance(answer, pb.DeidentifyInstancesResponse)
            answers.take(answer)
    await call.done_writing()

    last = await call.read()

    assert isinstance(last, pb.DeidentifyInstancesResponse)
    assert last.WhichOneof("event") == "certificate"
    assert await call.read() is grpc.aio.EOF


async def test_a_caller_that_does_not_read_is_not_read_from(deid: DeidService, ct: Dataset) -> None:
    file = part10(ct_instance(size=1024))
    written = 0

    async def endless() -> AsyncIterator[Request]:
        nonlocal written
        yield BEGIN
        while True:
            for message in messages("again", file):
                yield message
            written += 1

    call = deid.stub.DeidentifyInstances(endless())
    settled = -1
    while settled != written or not written:
        settled = written
        await asyncio.sleep(1)
    waiting = sum(path.stat().st_size for path in deid.work.rglob("*") if path.is_file())
    call.cancel()
    await eventually(lambda: not deid.left())

    # Two wait, two are on their way; what the transport holds is its own few windows.
    assert waiting <= 6 * len(file)
    assert written < 40


async def test_more_streams_than_there_are_places_are_refused_and_series_go_on(
    deid: DeidService, ct: Dataset
) -> None:
    calls = [deid.stub.DeidentifyInstances() for _ in range(4)]
    for call in calls:
        await call.write(BEGIN)
        for message in messages("one", part10(ct)):
            await call.write(message)
        await call.read()

    with pytest.raises(ServiceCallError) as caught:
        await answered(deid)
    instances, _ = await deid.series(await deid.stored(part10(ct)))
    for call in calls:
        call.cancel()
    await eventually(lambda: not deid.left())
    again = await answered(deid, BEGIN)

    assert caught.value.reason == "ERROR_REASON_LIMIT_EXCEEDED"
    assert caught.value.metadata == {"limit": "streams"}
    assert instances[0].HasField("released")
    assert again.certificate


@pytest.mark.parametrize(
    ("requests", "reason", "named"),
    [
        ([], "INVALID_FIELD", "begin"),
        (messages("a", b"x"), "INVALID_FIELD", "begin"),
        ([BEGIN, BEGIN], "INVALID_FIELD", "object"),
        ([BEGIN, Request(chunk=b"x")], "INVALID_FIELD", "object"),
        ([BEGIN, *messages("a", b"xy")[:1]], "INVALID_FIELD", "chunk"),
        ([BEGIN, *messages("a", b"xy")[:1], Request(chunk=b"xyz")], "INVALID_FIELD", "chunk"),
        ([BEGIN, *messages("a", b"xy")[:1], Request(chunk=b"")], "INVALID_FIELD", "chunk"),
        ([BEGIN, *messages("a", b"")], "INVALID_FIELD", "object.size_bytes"),
        ([BEGIN, *messages("n" * 257, b"x")], "INVALID_FIELD", "object.name"),
        (
            [BEGIN, Request(object=pb.ObjectBegin(size_bytes=OBJECT_BYTES + 1))],
            "LIMIT_EXCEEDED",
            "object_bytes",
        ),
        ([Request(begin=pb.StreamBegin(project_id="x"))], "INVALID_FIELD", "project_id"),
    ],
)
async def test_a_stream_that_breaks_a_rule_ends_and_says_which(
    deid: DeidService, requests: list[Request], reason: str, named: str
) -> None:
    with pytest.raises(ServiceCallError) as caught:
        await answered(deid, *requests)

    assert caught.value.reason == f"ERROR_REASON_{reason}"
    assert named in caught.value.metadata.values()
    assert deid.left() == []

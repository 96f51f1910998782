"""Envelopes that travel together in one message, and their answers."""

from __future__ import annotations

import grpc
import pytest

from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.coordinator.intake.stream import MOST_IN_MESSAGE
from services.runtime.client import error_info
from tests.services.coordinator.intake.conftest import Intake
from tests.services.coordinator.intake.envelopes import attributes, instance

pytestmark = pytest.mark.postgres


async def _requests(intake: Intake, count: int) -> list[pb.IngestRequest]:
    data = await intake.stage()
    return [
        pb.IngestRequest(sequence=n, instance=instance(attributes(number=n), data))
        for n in range(1, count + 1)
    ]


async def _answers(intake: Intake, message: pb.IngestRequest) -> list[pb.IngestResponse]:
    call = intake.stub.Ingest()
    await call.write(message)
    await call.done_writing()
    return [answer async for answer in call]


async def test_each_request_in_a_message_is_answered(intake: Intake) -> None:
    first, *rest = await _requests(intake, 10)
    first.more.extend(rest)
    first.reads_more = True

    messages = await _answers(intake, first)

    answers = [answer for message in messages for answer in (message, *message.more)]
    assert sorted(answer.sequence for answer in answers) == list(range(1, 11))
    assert {a.accepted.disposition for a in answers} == {pb.DISPOSITION_STORED}
    assert not [inner for message in messages for inner in message.more if inner.more]


async def test_a_sender_that_does_not_read_more_gets_an_answer_a_message(intake: Intake) -> None:
    first, *rest = await _requests(intake, 10)
    first.more.extend(rest)

    messages = await _answers(intake, first)

    assert sorted(message.sequence for message in messages) == list(range(1, 11))
    assert not [message for message in messages if message.more]


async def test_too_many_in_a_message_break_the_stream(intake: Intake) -> None:
    first, *rest = await _requests(intake, MOST_IN_MESSAGE + 2)
    first.more.extend(rest)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _answers(intake, first)

    info = error_info(caught.value)
    assert info is not None
    assert info.metadata["field"] == "more"

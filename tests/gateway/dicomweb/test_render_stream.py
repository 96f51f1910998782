from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from gateway.dicomweb.render_stream import RenderStream
from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.client import ServiceCallError


class Call:
    """A stream that breaks after some answers; requests are answered last first."""

    def __init__(self, answers: int) -> None:
        self.left = answers
        self.asked: asyncio.Queue[pb.RenderFramesRequest] = asyncio.Queue()

    async def write(self, request: pb.RenderFramesRequest) -> None:
        await self.asked.put(request)

    async def __aiter__(self) -> AsyncIterator[pb.RenderFramesResponse]:
        while True:
            first = await self.asked.get()
            await asyncio.sleep(0)
            waiting = [first, *(self.asked.get_nowait() for _ in range(self.asked.qsize()))]
            for request in reversed(waiting):
                if not self.left:
                    metadata = grpc.aio.Metadata()
                    raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, metadata, metadata)
                self.left -= 1
                number, frame = request.sequence, request.frame.frame
                if frame == 99:
                    reason = ErrorReason.ERROR_REASON_IMAGE_NOT_RENDERABLE
                    yield pb.RenderFramesResponse(sequence=number, last=True, failure=reason)
                    continue
                yield pb.RenderFramesResponse(sequence=number, data=b"picture ")
                yield pb.RenderFramesResponse(sequence=number, data=b"%d" % frame, last=True)


def frame(number: int) -> pb.RenderFrameRequest:
    return pb.RenderFrameRequest(frame=number)


async def test_each_gets_its_own_picture_whatever_the_order() -> None:
    calls = [Call(100)]
    stream = RenderStream(calls.pop)

    pictures = await asyncio.gather(*[stream.render(frame(number)) for number in range(20)])

    assert pictures == [b"picture %d" % number for number in range(20)]


async def test_a_stream_that_broke_is_opened_anew_and_asked_again() -> None:
    calls = [Call(100), Call(3)]
    stream = RenderStream(calls.pop)

    pictures = await asyncio.gather(*[stream.render(frame(number)) for number in range(10)])

    assert pictures == [b"picture %d" % number for number in range(10)]
    assert calls == []


async def test_one_that_fails_fails_alone() -> None:
    calls = [Call(100)]
    stream = RenderStream(calls.pop)

    first, failed, second = await asyncio.gather(
        *[stream.render(frame(number)) for number in (1, 99, 2)], return_exceptions=True
    )

    assert (first, second) == (b"picture 1", b"picture 2")
    assert isinstance(failed, ServiceCallError)
    assert failed.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_conversion_that_stays_away_is_told() -> None:
    stream = RenderStream(lambda: Call(0))

    with pytest.raises(ServiceCallError) as caught:
        await stream.render(frame(1))

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_who_gives_up_leaves_the_others_their_pictures() -> None:
    calls = [Call(100)]
    stream = RenderStream(calls.pop)

    leaving = asyncio.create_task(stream.render(frame(1)))
    staying = asyncio.create_task(stream.render(frame(2)))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == b"picture 2"

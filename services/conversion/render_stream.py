"""Many pictures over one stream: each request is answered under its number, in any order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime import logs
from services.runtime.errors import ServiceError

FAILED: Final = "render.failed"
_AT_ONCE: Final = 64
_WAITING: Final = 64
"""Messages that wait for a slow reader; drawing waits with them."""

Render = Callable[[pb.RenderFrameRequest], AsyncIterator[bytes]]


class RenderStream:
    """Draws what one caller asks for.

    Args:
        render: Draws one frame.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._answers: asyncio.Queue[pb.RenderFramesResponse | None] = asyncio.Queue(_WAITING)
        self._drawing: set[asyncio.Task[None]] = set()

    async def answers(
        self, requests: AsyncIterator[pb.RenderFramesRequest]
    ) -> AsyncIterator[pb.RenderFramesResponse]:
        """Yield the answers until the caller asks no more."""
        reading = asyncio.create_task(self._read(requests))
        try:
            while (answer := await self._answers.get()) is not None:
                yield answer
            await reading
        finally:
            for task in (reading, *self._drawing):
                task.cancel()
            await asyncio.gather(reading, *self._drawing, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[pb.RenderFramesRequest]) -> None:
        try:
            async for request in requests:
                await self._free.acquire()
                task = asyncio.create_task(self._draw(request))
                self._drawing.add(task)
                task.add_done_callback(self._drawn)
            if self._drawing:
                await asyncio.wait(self._drawing)
        finally:
            await self._answers.put(None)

    def _drawn(self, task: asyncio.Task[None]) -> None:
        self._drawing.discard(task)
        self._free.release()

    async def _draw(self, request: pb.RenderFramesRequest) -> None:
        number = request.sequence
        failure = ErrorReason.ERROR_REASON_UNSPECIFIED
        # Held back by one, so that most pictures are one message.
        held = b""
        try:
            async for data in self._render(request.frame):
                if held:
                    await self._answers.put(pb.RenderFramesResponse(sequence=number, data=held))
                held = data
        except ServiceError as error:
            failure = error.reason
        except Exception as error:
            logs.get_logger().error(FAILED, **logs.failure(error))
            failure = ErrorReason.ERROR_REASON_TOOL_FAILED
        last = b"" if failure else held
        await self._answers.put(
            pb.RenderFramesResponse(sequence=number, data=last, last=True, failure=failure)
        )

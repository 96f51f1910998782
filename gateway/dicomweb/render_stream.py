"""One stream to conversion for all pictures, opened when the first is asked for."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.client import ServiceCallError, call_error

_ATTEMPTS: Final = 3
_TIMEOUT_S: Final = 120.0
_ASKED_AGAIN_S: Final = 5.0
"""A stream that breaks later was parted from who draws, and so would be the next."""
_CODES: Final = {
    ErrorReason.ERROR_REASON_INVALID_FIELD: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorReason.ERROR_REASON_IMAGE_NOT_RENDERABLE: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorReason.ERROR_REASON_BLOB_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorReason.ERROR_REASON_BLOB_CORRUPT: grpc.StatusCode.DATA_LOSS,
}


class RenderStream:
    """Asks for pictures; a stream that broke is opened anew, as drawing twice does no harm.

    Args:
        begin: Begins a stream.
    """

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._open: _OpenStream | None = None

    async def render(self, request: pb.RenderFrameRequest) -> bytes:
        """Return a picture.

        Raises:
            ServiceCallError: It cannot be made.
        """
        began = time.monotonic()
        for attempt in range(_ATTEMPTS):
            stream = self._open
            if stream is None or stream.broken:
                stream = self._open = _OpenStream(self._begin())
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    return await stream.ask(request)
            except _BrokenError as broken:
                if attempt + 1 == _ATTEMPTS or time.monotonic() - began > _ASKED_AGAIN_S:
                    raise broken.error from None
                await asyncio.sleep(0.1 * attempt)
            except TimeoutError:
                break
        raise ServiceCallError(grpc.StatusCode.DEADLINE_EXCEEDED, "", {}, "")


class _BrokenError(Exception):
    def __init__(self, error: ServiceCallError) -> None:
        super().__init__(error)
        self.error = error


@dataclass(slots=True)
class _Asked:
    answer: asyncio.Future[bytes]
    parts: list[bytes] = field(default_factory=list)


class _OpenStream:
    def __init__(self, call: Any) -> None:
        self._call = call
        self._numbers = itertools.count(1)
        self._asked: dict[int, _Asked] = {}
        self._writing = asyncio.Lock()
        self._reading = asyncio.create_task(self._read())

    @property
    def broken(self) -> bool:
        return self._reading.done()

    async def ask(self, request: pb.RenderFrameRequest) -> bytes:
        number = next(self._numbers)
        asked = self._asked[number] = _Asked(asyncio.get_running_loop().create_future())
        try:
            message = pb.RenderFramesRequest(sequence=number, frame=request)
            try:
                async with self._writing:
                    await self._call.write(message)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                # The reader knows why, and tells all who wait.
                await asyncio.wait({self._reading})
            return await asked.answer
        finally:
            del self._asked[number]

    async def _read(self) -> None:
        error = ServiceCallError(grpc.StatusCode.UNAVAILABLE, "", {}, "")
        try:
            async for message in self._call:
                self._take(message)
        except grpc.aio.AioRpcError as failure:
            error = call_error(failure)
        finally:
            for asked in self._asked.values():
                if not asked.answer.done():
                    asked.answer.set_exception(_BrokenError(error))

    def _take(self, message: pb.RenderFramesResponse) -> None:
        asked = self._asked.get(message.sequence)
        if asked is None or asked.answer.done():
            return
        asked.parts.append(message.data)
        if not message.last:
            return
        if message.failure:
            code = _CODES.get(message.failure, grpc.StatusCode.INTERNAL)
            reason = ErrorReason.Name(message.failure)
            asked.answer.set_exception(ServiceCallError(code, reason, {}, ""))
        else:
            asked.answer.set_result(b"".join(asked.parts))

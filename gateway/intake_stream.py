"""One Ingest stream to the coordinator: requests pipelined, answers matched by sequence."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.intake.v1 import intake_service_pb2 as pb
from heimdallr.intake.v1 import intake_service_pb2_grpc as pb_grpc
from services.runtime.blob_ref import BlobRef as LocalRef
from services.runtime.errors import BlobNotFoundError
from services.runtime.local_blobs import LocalBlobs

CHUNK_BYTES: Final = 1 << 20
_QUEUED_MESSAGES: Final = 16
_MOST_IN_MESSAGE: Final = 64
_OPEN_INSTANCES: Final = 8
"""Instances whose chunks interleave; the coordinator bounds them for each stream."""

Call = grpc.aio.StreamStreamCall[pb.IngestRequest, pb.IngestResponse]


RETRYABLE: Final = frozenset(
    {
        ErrorReason.ERROR_REASON_STORAGE_FULL,
        ErrorReason.ERROR_REASON_LIMIT_EXCEEDED,
        ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE,
    }
)
"""Reasons of a rejection that are gone when the same instance is sent later."""


class StreamLostError(Exception):
    """The stream ended; what was not answered may or may not have been taken.

    Attributes:
        code: Why, if gRPC said.
    """

    def __init__(self, code: grpc.StatusCode | None = None) -> None:
        super().__init__(code.name if code else "lost")
        self.code = code


class IntakeStream:
    """Sends envelopes and waits for their answers.

    Args:
        stub: The intake service.
        blobs: Where the bytes of chunked instances are read.
        answer_timeout_s: Longest wait for one answer; then the stream counts as lost.
    """

    def __init__(
        self, stub: pb_grpc.IntakeServiceAsyncStub, blobs: LocalBlobs, answer_timeout_s: float
    ) -> None:
        self._blobs = blobs
        self._timeout_s = answer_timeout_s
        self._call: Call = stub.Ingest()
        self._queue: deque[pb.IngestRequest] = deque()
        self._open = asyncio.Semaphore(_OPEN_INSTANCES)
        self._space, self._filled = asyncio.Event(), asyncio.Event()
        self._answers: dict[int, asyncio.Future[pb.IngestResponse]] = {}
        self._sequence = 0
        self._lost: StreamLostError | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the stream has ended."""
        return self._lost is not None

    async def run(self) -> None:
        """Serve the stream until it ends.

        Raises:
            StreamLostError: Always, unless cancelled.
        """
        writer = asyncio.create_task(self._write())
        try:
            while isinstance(answer := await self._call.read(), pb.IngestResponse):
                self._answer(answer)
                for more in answer.more:
                    self._answer(more)
            self._lose(await self._call.code())
        except grpc.aio.AioRpcError as error:
            self._lose(error.code())
        finally:
            writer.cancel()
            self._call.cancel()
            self._lose(None)
            with suppress(asyncio.CancelledError):
                await writer
        raise StreamLostError(self._lost.code if self._lost else None)

    async def ask(self, request: pb.IngestRequest) -> pb.IngestResponse:
        """Send a request, with its chunks if it has any, and return its answer.

        Raises:
            StreamLostError: There will be no answer.
            BlobNotFoundError: The bytes of a chunked instance are not there.
        """
        if self._lost is not None:
            raise StreamLostError(self._lost.code)
        self._sequence += 1
        request.sequence = self._sequence
        answer: asyncio.Future[pb.IngestResponse] = asyncio.get_running_loop().create_future()
        self._answers[request.sequence] = answer
        try:
            async with asyncio.timeout(self._timeout_s) as patience:
                await self._send(request, patience)
                return await answer
        except TimeoutError:
            self._lose(grpc.StatusCode.DEADLINE_EXCEEDED)
            self._call.cancel()
            raise StreamLostError(grpc.StatusCode.DEADLINE_EXCEEDED) from None
        finally:
            self._answers.pop(request.sequence, None)

    async def _send(self, request: pb.IngestRequest, patience: asyncio.Timeout) -> None:
        if not request.instance.HasField("chunked"):
            await self._put(request)
            return
        async with self._open:
            await self._put(request)
            try:
                await self._send_chunks(request, patience)
            except BlobNotFoundError:
                # The other side would wait for the rest for as long as the stream lives.
                self._lose(None)
                self._call.cancel()
                raise

    async def _send_chunks(self, request: pb.IngestRequest, patience: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        async for chunk in self._chunks(request):
            await self._put(chunk)
            # A large object may take long in all; only standing still is too long.
            patience.reschedule(loop.time() + self._timeout_s)

    async def _chunks(self, request: pb.IngestRequest) -> AsyncIterator[pb.IngestRequest]:
        ref = _local(request.instance.chunked)
        for offset in range(0, ref.size_bytes, CHUNK_BYTES):
            data = await self._blobs.read_range(ref, offset, CHUNK_BYTES)
            last = offset + CHUNK_BYTES >= ref.size_bytes
            if len(data) != min(CHUNK_BYTES, ref.size_bytes - offset):
                raise BlobNotFoundError(ref.sha256)
            yield pb.IngestRequest(sequence=request.sequence, chunk=pb.Chunk(data=data, last=last))

    async def _write(self) -> None:
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while True:
                while self._queue:
                    request = self._next_message()
                    self._space.set()
                    await self._call.write(request)
                self._filled.clear()
                await self._filled.wait()
        # The reader learns why the stream ended; here there is only no one to write to.

    def _next_message(self) -> pb.IngestRequest:
        """Take a request from the queue, and with it those that wait behind it."""
        first = self._queue.popleft()
        first.reads_more = True
        if not self._queue or first.HasField("chunk"):
            return first
        # A copy: whoever asked keeps the request, and may have to journal it alone.
        message = pb.IngestRequest()
        message.CopyFrom(first)
        while self._queue and len(message.more) < _MOST_IN_MESSAGE:
            if self._queue[0].HasField("chunk"):
                break
            message.more.append(self._queue.popleft())
        return message

    async def _put(self, request: pb.IngestRequest) -> None:
        while len(self._queue) >= _QUEUED_MESSAGES and self._lost is None:
            self._space.clear()
            await self._space.wait()
        if self._lost is not None:
            raise StreamLostError(self._lost.code)
        self._queue.append(request)
        self._filled.set()

    def _answer(self, response: pb.IngestResponse) -> None:
        waiting = self._answers.get(response.sequence)
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def _lose(self, code: grpc.StatusCode | None) -> None:
        if self._lost is None:
            self._lost = StreamLostError(code)
        self._space.set()
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(StreamLostError(self._lost.code))


def _local(blob: BlobRef) -> LocalRef:
    return LocalRef(blob.sha256, blob.size_bytes, blob.media_type)

"""Sends on what the journal kept, in order, and forgets what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from gateway.intake_stream import RETRYABLE, IntakeStream, StreamLostError
from gateway.journal import Journal, Segment
from gateway.quarantine import Quarantine
from gateway.refusal import RefusalKind, RefusedError
from gateway.spool import Spool
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.runtime import logs
from services.runtime.blob_messages import blob_from_proto
from services.runtime.errors import BlobNotFoundError
from services.runtime.local_blobs import LocalBlobs

SENT: Final = "journal.sent"
LOST: Final = "journal.blob_missing"
BROKEN: Final = "journal.record_broken"
# INTERNAL is what gRPC says when it was still writing as the other side refused.
_BREAKING: Final = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL})
_WINDOW: Final = 64
_POLL_S: Final = 0.1


class Replay:
    """Empties the journal over a stream.

    An instance that the coordinator refuses now was acknowledged before: it goes to quarantine. A
    record that breaks the stream itself would do so for ever: after such a loss records are sent
    one by one, and the one that breaks it again is set aside.

    Args:
        journal: What is emptied.
        quarantine: Where refused instances go.
        blobs: Where their bytes are.
        spool: Forgets bytes that are answered; None where the blob store is shared.
    """

    def __init__(
        self, journal: Journal, quarantine: Quarantine, blobs: LocalBlobs, spool: Spool | None
    ) -> None:
        self._journal = journal
        self._quarantine = quarantine
        self._blobs = blobs
        self._spool = spool
        self._answered: set[int] = set()
        self._careful = False

    @property
    def is_careful(self) -> bool:
        """Whether nothing else should be sent on the stream."""
        return self._careful

    async def run(self, stream: IntakeStream, note_answer: Callable[[], None]) -> None:
        """Send segments as they come, until the stream is lost.

        Raises:
            StreamLostError: It is.
        """
        while not stream.is_lost:
            segment = await self._journal.oldest()
            if segment is None:
                self._careful = False
                await asyncio.sleep(_POLL_S)
                continue
            await self._send(segment, stream, note_answer)
            await self._journal.drop(segment)
            self._answered.clear()
        raise StreamLostError

    async def _send(
        self, segment: Segment, stream: IntakeStream, note_answer: Callable[[], None]
    ) -> None:
        records = await asyncio.to_thread(segment.records)
        waiting: set[asyncio.Task[None]] = set()
        try:
            for index, record in enumerate(records):
                request = _decoded(record)
                if request is None or index in self._answered:
                    continue
                alone = self._careful or request.HasField("association_closed")
                await _settle(waiting, 0 if alone else _WINDOW - 1)
                task = asyncio.create_task(self._send_one(index, request, stream))
                waiting.add(task)
                if alone:
                    await _settle(waiting, 0)
                    note_answer()
            await _settle(waiting, 0)
            note_answer()
            logs.get_logger().info(SENT, count=len(records))
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _send_one(self, index: int, request: pb.IngestRequest, stream: IntakeStream) -> None:
        try:
            answer = await stream.ask(request)
        except BlobNotFoundError:
            sha256 = request.instance.chunked.sha256
            logs.get_logger().error(LOST, sha256=sha256)
        except StreamLostError as error:
            if error.code not in _BREAKING:
                raise
            if not self._careful or error.code is grpc.StatusCode.INTERNAL:
                self._careful = True
                raise
            await self._set_aside(request, "breaks the stream")
            self._answered.add(index)
            self._careful = False
            raise
        else:
            if answer.WhichOneof("outcome") == "rejected":
                if answer.rejected.reason in RETRYABLE:
                    raise StreamLostError(grpc.StatusCode.RESOURCE_EXHAUSTED)
                await self._set_aside(request, answer.rejected.rule)
        if self._spool is not None and request.instance.HasField("chunked"):
            await self._spool.release(blob_from_proto(request.instance.chunked))
        self._answered.add(index)

    async def _set_aside(self, request: pb.IngestRequest, rule: str) -> None:
        content = request.instance.WhichOneof("content")
        if content is None:
            return
        blob = request.instance.staged if content == "staged" else request.instance.chunked
        ref = blob_from_proto(blob)
        refusal = RefusedError(RefusalKind.NOT_UNDERSTOOD, "instance", rule)
        try:
            data = await self._blobs.read(ref)
        except BlobNotFoundError:
            logs.get_logger().error(LOST, sha256=ref.sha256)
            return
        await asyncio.to_thread(self._quarantine.keep, (data,), ref.sha256, refusal)


async def _settle(waiting: set[asyncio.Task[None]], at_most: int) -> None:
    """Wait until no more than that many tasks are running; raise what one of them raised."""
    while len(waiting) > at_most:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting -= done
        for task in done:
            task.result()


def _decoded(record: bytes) -> pb.IngestRequest | None:
    try:
        return pb.IngestRequest.FromString(record)
    except DecodeError:
        logs.get_logger().error(BROKEN)
        return None

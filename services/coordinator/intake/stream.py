"""One stream of a gateway: reads ahead as far as its bounds allow, answers what is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.coordinator.archive.arrival import Indexed
from services.coordinator.intake.association_audit import AssociationAudit
from services.coordinator.intake.chunks import ChunkAssembler, OpenInstance
from services.coordinator.intake.committer import Committer
from services.coordinator.intake.envelope import Departure
from services.coordinator.intake.messages import (
    accepted,
    departure_from_proto,
    envelope_from_proto,
    rejected,
)
from services.coordinator.intake.rejection import RejectedError
from services.runtime.errors import DependencyUnavailableError, InvalidFieldError

_RECORDED: Final = pb.AssociationRecorded()
_OURSELVES: Final = "coordinator"
_DRAIN_S: Final = 2.0
MOST_IN_MESSAGE: Final = 64


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends on a stream.

    Attributes:
        subject: Its name.
        correlation_id: That of the call.
        same_machine: Whether it came over a Unix socket, and so shares our page cache.
    """

    subject: str
    correlation_id: str
    same_machine: bool = False


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None


class IngestStream:
    """Answers the requests of one call.

    Args:
        committer: Makes instances durable.
        chunks: Puts instances together.
        audit: Records ends of associations.
        sender: Who sends.
        in_flight: Most envelopes that wait for their answer.
        draining: Set when the server stops: what was read is answered, then the stream ends.
    """

    def __init__(
        self,
        committer: Committer,
        chunks: ChunkAssembler,
        audit: AssociationAudit,
        sender: Sender,
        *,
        in_flight: int,
        draining: asyncio.Event,
    ) -> None:
        self._committer = committer
        self._chunks = chunks
        self._audit = audit
        self._sender = sender
        self._draining = draining
        self._slots = asyncio.Semaphore(in_flight)
        self._answers: asyncio.Queue[pb.IngestResponse | _Ended] = asyncio.Queue()
        self._reads_more = False
        self._unanswered: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def answers(
        self, requests: AsyncIterator[pb.IngestRequest]
    ) -> AsyncGenerator[pb.IngestResponse, None]:
        """Yield an answer to each envelope.

        Raises:
            ServiceError: The stream cannot go on; what was not answered may be sent again.
        """
        reader = asyncio.create_task(self._read(requests))
        self._start(self._end_when_draining(reader))
        try:
            while True:
                answer = await self._answers.get()
                if isinstance(answer, _Ended):
                    if answer.error is not None:
                        raise answer.error
                    return
                count = 1 + self._add_waiting(answer)
                yield answer
                for _ in range(count):
                    self._slots.release()
        finally:
            await self._stop(reader)

    def _add_waiting(self, answer: pb.IngestResponse) -> int:
        """Add the answers that are there already, if the sender reads them; return how many."""
        if not self._reads_more:
            return 0
        more: list[pb.IngestResponse] = []
        while len(more) < MOST_IN_MESSAGE and not self._answers.empty():
            following = self._answers.get_nowait()
            if isinstance(following, _Ended):
                self._answers.put_nowait(following)
                break
            more.append(following)
        answer.more.extend(more)
        return len(more)

    async def _stop(self, reader: asyncio.Task[None]) -> None:
        for task in (reader, *self._tasks):
            task.cancel()
        await asyncio.gather(reader, *self._tasks, return_exceptions=True)
        await self._chunks.close()

    async def _read(self, requests: AsyncIterator[pb.IngestRequest]) -> None:
        try:
            async for request in requests:
                self._reads_more |= request.reads_more
                await self._take(request)
                if len(request.more) > MOST_IN_MESSAGE:
                    raise InvalidFieldError("more", f"at most {MOST_IN_MESSAGE}")
                for more in request.more:
                    await self._take(more)
            self._reject_unfinished()
            await self._idle.wait()
        except Exception as error:
            self._answers.put_nowait(_Ended(error))
        else:
            self._answers.put_nowait(_Ended(None))

    async def _end_when_draining(self, reader: asyncio.Task[None]) -> None:
        await self._draining.wait()
        reader.cancel()
        await asyncio.wait([reader])
        self._unanswered.difference_update(self._chunks.unfinished)
        self._note_idle()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _DRAIN_S)
        self._answers.put_nowait(_Ended(DependencyUnavailableError(_OURSELVES)))

    async def _take(self, request: pb.IngestRequest) -> None:
        kind = request.WhichOneof("payload")
        if kind == "chunk":
            await self._take_chunk(request.sequence, request.chunk)
            return
        if kind is None:
            raise InvalidFieldError("payload", "instance, chunk or association_closed must be set")
        await self._open(request.sequence)
        try:
            if kind == "instance":
                await self._take_instance(request.sequence, request.instance)
            else:
                self._take_departure(request.sequence, request.association_closed)
        except RejectedError as error:
            self._settle(request.sequence, rejected(request.sequence, error))

    async def _open(self, sequence: int) -> None:
        if sequence in self._unanswered or self._chunks.expects(sequence):
            raise InvalidFieldError("sequence", "unique in the stream for each instance")
        await self._slots.acquire()
        self._unanswered.add(sequence)
        self._idle.clear()

    async def _take_instance(self, sequence: int, message: pb.Instance) -> None:
        try:
            envelope = envelope_from_proto(message, self._sender.correlation_id)
        except RejectedError as error:
            if message.WhichOneof("content") == "chunked":
                raise self._chunks.drop(sequence, error) from None
            raise
        if envelope.written and not self._sender.same_machine:
            raise RejectedError("content", "written on the same machine, or else staged")
        if envelope.chunked:
            await self._chunks.begin(sequence, envelope)
        else:
            self._watch(sequence, await self._committer.submit(envelope))

    async def _take_chunk(self, sequence: int, chunk: pb.Chunk) -> None:
        try:
            whole = await self._chunks.add(sequence, chunk.data, last=chunk.last)
        except RejectedError as error:
            self._settle(sequence, rejected(sequence, error))
            return
        if whole is not None:
            task = self._start(self._finish(sequence, whole))
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)

    async def _finish(self, sequence: int, instance: OpenInstance) -> None:
        try:
            envelope = await instance.commit()
            self._watch(sequence, await self._committer.submit(envelope))
        except RejectedError as error:
            self._settle(sequence, rejected(sequence, error))
        except Exception as error:
            self._answers.put_nowait(_Ended(error))

    def _take_departure(self, sequence: int, message: pb.AssociationClosed) -> None:
        sender = self._sender
        departure = departure_from_proto(message, sender.subject, sender.correlation_id)
        before = list(self._finishing)
        self._start(self._depart(sequence, departure, before))

    async def _depart(
        self, sequence: int, departure: Departure, before: list[asyncio.Task[None]]
    ) -> None:
        try:
            # Instances whose bytes came before it are counted to the association before it ends.
            if before:
                await asyncio.wait(before)
            await (await self._committer.submit(departure))
            await self._audit.record_association(departure)
        except RejectedError as error:
            self._settle(sequence, rejected(sequence, error))
        except Exception as error:
            self._answers.put_nowait(_Ended(error))
        else:
            answer = pb.IngestResponse(sequence=sequence, association_recorded=_RECORDED)
            self._settle(sequence, answer)

    def _watch(self, sequence: int, done: asyncio.Future[Indexed | None]) -> None:
        def settle(done: asyncio.Future[Indexed | None]) -> None:
            away = DependencyUnavailableError(_OURSELVES)
            error = away if done.cancelled() else done.exception()
            if isinstance(error, RejectedError):
                self._settle(sequence, rejected(sequence, error))
            elif error is not None:
                self._answers.put_nowait(_Ended(error))
            elif (outcome := done.result()) is not None:
                self._settle(sequence, accepted(sequence, outcome))

        done.add_done_callback(settle)

    def _settle(self, sequence: int, answer: pb.IngestResponse) -> None:
        self._unanswered.discard(sequence)
        self._answers.put_nowait(answer)
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._unanswered:
            self._idle.set()

    def _reject_unfinished(self) -> None:
        error = RejectedError("chunk.last", "set before the stream ends")
        for sequence in self._chunks.unfinished:
            self._settle(sequence, rejected(sequence, error))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

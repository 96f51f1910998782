"""The coordinator as the gateway's doors see it: what is handed over is indexed, or will be.

While the coordinator answers, each instance goes straight to it. While it does not, and until what
was kept meanwhile is answered, the journal takes envelopes; the bytes are durable already.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import grpc

from gateway.envelopes import departure_request, instance_request
from gateway.handover import Departure, Disposition, HandoverError, Received
from gateway.intake_stream import RETRYABLE, IntakeStream, StreamLostError
from gateway.journal import Journal
from gateway.replay import Replay
from gateway.spool import Spool
from heimdallr.intake.v1 import intake_service_pb2 as pb
from services.runtime import logs
from services.runtime.blob_ref import BlobRef
from services.runtime.client import MeshChannel
from services.runtime.errors import DependencyUnavailableError, StorageFullError

ONLINE: Final = "intake.online"
OFFLINE: Final = "intake.offline"
NOT_JOURNALED: Final = "journal.full"
_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 3.0
_DISPOSITIONS: Final = {
    pb.DISPOSITION_STORED: Disposition.STORED,
    pb.DISPOSITION_DUPLICATE: Disposition.DUPLICATE,
    pb.DISPOSITION_CONFLICT: Disposition.CONFLICT,
}


class Intake:
    """Hands instances over, whether or not the coordinator is there.

    Args:
        channel: Leads to the coordinator.
        open_stream: Opens an Ingest stream on it.
        journal: Keeps envelopes meanwhile.
        replay: Sends the journal on.
        spool: Holds bytes that go with the envelope; None where the blob store is shared.
        flush: Makes bytes durable that were only written; None where the coordinator cannot do
            that, because it does not share this machine's page cache.
    """

    def __init__(
        self,
        channel: MeshChannel,
        open_stream: Callable[[], IntakeStream],
        journal: Journal,
        replay: Replay,
        spool: Spool | None,
        flush: Callable[[BlobRef], Awaitable[None]] | None = None,
    ) -> None:
        self._flush = flush
        self._channel = channel
        self._open_stream = open_stream
        self._journal = journal
        self._replay = replay
        self._spool = spool
        self._stream: IntakeStream | None = None
        self._answered = False

    @property
    def is_online(self) -> bool:
        """Whether instances go straight to the coordinator now."""
        if self._stream is None or self._replay.is_careful:
            return False
        return self._answered or self._journal.is_empty

    @property
    def flushes(self) -> bool:
        """Whether bytes that were only written may be handed over now."""
        return self._flush is not None and self.is_online

    async def hand_over(self, received: Received) -> Disposition:
        """Return what became of the instance once it is indexed, or journaled so that it will be.

        Raises:
            HandoverError: The coordinator refuses it.
            StorageFullError: No room for it, here or there.
            BlobNotFoundError: Its bytes are gone before they could be sent.
            OSError: The disk failed.
        """
        ref = received.staged.ref
        request = instance_request(received, chunked=self._spool is not None)
        if self._spool is not None:
            self._spool.hold(ref)
        answer = await self._ask(request)
        if answer is None:
            await self._keep(request, ref)
            return Disposition.JOURNALED
        if self._spool is not None:
            await self._spool.release(ref)
        if answer.WhichOneof("outcome") == "rejected":
            raise _error(answer.rejected)
        return _DISPOSITIONS.get(answer.accepted.disposition, Disposition.STORED)

    async def _keep(self, request: pb.IngestRequest, ref: BlobRef) -> None:
        instance = request.instance
        if instance.HasField("written"):
            if self._flush is not None:
                await self._flush(ref)
            instance.staged.CopyFrom(instance.written)
        await self._journal.append(request.SerializeToString())

    async def depart(self, departure: Departure) -> None:
        """Tell that a peer has gone, after all that it brought."""
        request = departure_request(departure)
        # Not past the journal: an instance of this peer may still wait in it.
        answer = await self._ask(request) if self._journal.is_empty else None
        if answer is None:
            try:
                await self._journal.append(request.SerializeToString())
            except (StorageFullError, OSError) as error:
                # The study is then complete once it has been quiet for a while.
                logs.get_logger().warning(NOT_JOURNALED, **logs.failure(error))

    async def run(self) -> None:
        """Keep a stream open, and the journal empty, until cancelled."""
        backoff_s = _FIRST_BACKOFF_S
        while True:
            self._answered = False
            try:
                await self._connected()
                await self._serve()
            except (StreamLostError, DependencyUnavailableError) as error:
                code = error.code.name if error.code is not None else "UNKNOWN"
                logs.get_logger().warning(OFFLINE, code=code)
            except OSError as error:
                logs.get_logger().error(OFFLINE, code="STORAGE", **logs.failure(error))
            finally:
                self._stream = None
            backoff_s = _FIRST_BACKOFF_S if self._answered else backoff_s
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter
            backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)

    async def _connected(self) -> None:
        state = self._channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.READY:
            await self._channel.wait_for_state_change(state)
            state = self._channel.get_state(try_to_connect=True)

    async def _serve(self) -> None:
        stream = self._open_stream()
        serving = asyncio.create_task(stream.run())
        replaying = asyncio.create_task(self._replay.run(stream, self._note_answer))
        self._stream = stream
        logs.get_logger().info(ONLINE)
        try:
            await asyncio.wait({serving, replaying}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                # The replay ends by itself then, but may first have a record to set aside.
                await asyncio.wait({replaying})
        finally:
            self._stream = None
            for task in (serving, replaying):
                task.cancel()
            outcomes = await asyncio.gather(serving, replaying, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _ask(self, request: pb.IngestRequest) -> pb.IngestResponse | None:
        stream = self._stream
        if stream is None or not self.is_online:
            return None
        try:
            answer = await stream.ask(request)
        except StreamLostError:
            return None
        self._answered = True
        return answer

    def _note_answer(self) -> None:
        self._answered = True


def _error(rejected: pb.Rejected) -> Exception:
    if rejected.reason in RETRYABLE:
        return StorageFullError()
    return HandoverError(rejected.rule or "refused")

"""A coordinator's intake for gateway tests: the real contract, over a real socket.

It keeps what it takes in memory, checks that staged bytes are there and whole before it accepts,
and can be told to be slow, to refuse, or to break its streams.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.intake.v1 import intake_service_pb2 as pb
from heimdallr.intake.v1 import intake_service_pb2_grpc as pb_grpc

Context = grpc.aio.ServicerContext[pb.IngestRequest, pb.IngestResponse]


@dataclass
class IntakeDouble(pb_grpc.IntakeServiceServicer):
    """Takes instances as the coordinator does: one row by SOP Instance UID, idempotently.

    Attributes:
        blobs: The shared blob store's folder, for staged content.
        delay_s: Pause before each answer.
        reject_rule: Refuse each instance with this rule, when set.
        reject_reason: The reason it gives then.
        silent: Take requests and answer nothing.
        verify: Look at staged bytes before they are accepted.
        break_on: Break the stream with INVALID_ARGUMENT at this SOP Instance UID.
        rows: SHA-256 by SOP Instance UID.
        received: Bytes by SHA-256, of chunked instances.
        events: "instance <association>" and "closed <association>" in the order of arrival.
        closed: Ends of associations.
        duplicates: Instances handed over again.
        conflicts: SHA-256 of other bytes under a UID that has a row.
    """

    blobs: Path
    delay_s: float = 0.0
    reject_rule: str = ""
    reject_reason: ErrorReason.ValueType = ErrorReason.ERROR_REASON_INVALID_FIELD
    break_on: str = ""
    silent: bool = False
    verify: bool = True
    rows: dict[str, str] = field(default_factory=dict)
    received: dict[str, bytes] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    instances: list[pb.Instance] = field(default_factory=list)
    closed: list[pb.AssociationClosed] = field(default_factory=list)
    duplicates: int = 0
    conflicts: list[str] = field(default_factory=list)

    async def Ingest(  # noqa: N802 -- name of the contract
        self, request_iterator: AsyncIterator[pb.IngestRequest], context: Context
    ) -> AsyncIterator[pb.IngestResponse]:
        waiting: dict[int, tuple[pb.Instance, bytearray]] = {}
        async for request in _each(request_iterator):
            if self.silent:
                await asyncio.sleep(3600)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            kind = request.WhichOneof("payload")
            if kind == "association_closed":
                self.closed.append(request.association_closed)
                self.events.append(f"closed {request.association_closed.association_id}")
                yield pb.IngestResponse(
                    sequence=request.sequence, association_recorded=pb.AssociationRecorded()
                )
            elif kind == "chunk":
                assert len(request.chunk.data) <= 1 << 20
                instance, data = waiting[request.sequence]
                data += request.chunk.data
                if request.chunk.last:
                    del waiting[request.sequence]
                    yield self._take_chunked(request.sequence, instance, bytes(data))
            else:
                instance = request.instance
                if instance.attributes.sop_instance_uid == self.break_on:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
                if instance.WhichOneof("content") == "chunked":
                    waiting[request.sequence] = (instance, bytearray())
                else:
                    yield self._take_staged(request.sequence, instance)

    def _take_staged(self, sequence: int, instance: pb.Instance) -> pb.IngestResponse:
        ref = instance.staged if instance.HasField("staged") else instance.written
        if self.verify:
            data = (self.blobs / ref.sha256[:2] / ref.sha256).read_bytes()
            assert len(data) == ref.size_bytes
            assert hashlib.sha256(data).hexdigest() == ref.sha256
        return self._take(sequence, instance, ref.sha256)

    def _take_chunked(self, sequence: int, instance: pb.Instance, data: bytes) -> pb.IngestResponse:
        sha256 = hashlib.sha256(data).hexdigest()
        assert sha256 == instance.chunked.sha256
        assert len(data) == instance.chunked.size_bytes
        self.received[sha256] = data
        return self._take(sequence, instance, sha256)

    def _take(self, sequence: int, instance: pb.Instance, sha256: str) -> pb.IngestResponse:
        if self.reject_rule:
            rejected = pb.Rejected(reason=self.reject_reason, rule=self.reject_rule)
            return pb.IngestResponse(sequence=sequence, rejected=rejected)
        self.instances.append(instance)
        self.events.append(f"instance {instance.source.association_id}")
        disposition = pb.DISPOSITION_STORED
        uid = instance.attributes.sop_instance_uid
        if uid not in self.rows:
            self.rows[uid] = sha256
        elif self.rows[uid] != sha256:
            self.conflicts.append(sha256)
            disposition = pb.DISPOSITION_CONFLICT
        else:
            self.duplicates += 1
            disposition = pb.DISPOSITION_DUPLICATE
        return pb.IngestResponse(sequence=sequence, accepted=pb.Accepted(disposition=disposition))


async def _each(messages: AsyncIterator[pb.IngestRequest]) -> AsyncIterator[pb.IngestRequest]:
    async for message in messages:
        for request in (message, *message.more):
            yield request


class IntakeServer:
    """The double on a Unix socket that can be taken away and brought back."""

    def __init__(
        self,
        double: IntakeDouble,
        socket: Path,
        beside: Callable[[grpc.aio.Server], None] = lambda _: None,
    ) -> None:
        self.double = double
        self._beside = beside
        self.address = f"unix:{socket}"
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        self._server = grpc.aio.server()
        pb_grpc.add_IntakeServiceServicer_to_server(self.double, self._server)
        self._beside(self._server)
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

"""gRPC adapter of intake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import grpc

from heimdallr.intake.v1 import intake_service_pb2 as pb
from heimdallr.intake.v1 import intake_service_pb2_grpc as pb_grpc
from services.coordinator.intake.association_audit import AssociationAudit
from services.coordinator.intake.chunks import ChunkAssembler
from services.coordinator.intake.committer import Committer
from services.coordinator.intake.stream import IngestStream, Sender
from services.runtime.blobs import BlobStore
from services.runtime.correlation import correlation_id
from services.runtime.tokens import current_caller

Context = grpc.aio.ServicerContext[pb.IngestRequest, pb.IngestResponse]


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """What one stream may hold at once.

    Attributes:
        in_flight: Envelopes that wait for their answer.
        open_instances: Instances whose chunks are arriving.
        open_bytes: Bytes that those instances announce together.
    """

    in_flight: int = 1024
    open_instances: int = 32
    open_bytes: int = 8 << 30


class IntakeService(pb_grpc.IntakeServiceServicer):
    """Serves ``heimdallr.intake.v1.IntakeService``."""

    def __init__(
        self,
        committer: Committer,
        blobs: BlobStore,
        audit: AssociationAudit,
        *,
        bounds: StreamBounds | None = None,
        draining: asyncio.Event | None = None,
    ) -> None:
        self._committer = committer
        self._blobs = blobs
        self._audit = audit
        self._bounds = bounds or StreamBounds()
        self._draining = draining or asyncio.Event()

    async def Ingest(
        self, request_iterator: AsyncIterator[pb.IngestRequest], context: Context
    ) -> AsyncIterator[pb.IngestResponse]:
        """See ``intake_service.proto``."""
        bounds = self._bounds
        chunks = ChunkAssembler(
            self._blobs, max_instances=bounds.open_instances, max_bytes=bounds.open_bytes
        )
        stream = IngestStream(
            self._committer,
            chunks,
            self._audit,
            Sender(current_caller().subject, correlation_id(), context.peer().startswith("unix:")),
            in_flight=bounds.in_flight,
            draining=self._draining,
        )
        async with aclosing(stream.answers(request_iterator)) as answers:
            async for answer in answers:
                yield answer

"""gRPC adapter of the door to addresses outside: translates messages, decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

from heimdallr.deid.v1 import outbound_service_pb2 as pb
from heimdallr.deid.v1 import outbound_service_pb2_grpc as pb_grpc
from services.deid.outbound.messages import (
    checked_destination,
    fields_from_proto,
    known_from_proto,
    release_id_of,
)
from services.deid.outbound.metrics import RELEASES, WORDS_REMOVED
from services.deid.outbound.text_release import TextRefusedError, release_text
from services.runtime.errors import NotReleasedError, OcrUnavailableError

ImageContext = grpc.aio.ServicerContext[pb.ReleaseImageRequest, pb.ReleaseImageResponse]
TextContext = grpc.aio.ServicerContext[pb.ReleaseTextRequest, pb.ReleaseTextResponse]


class OutboundService(pb_grpc.OutboundServiceServicer):
    """Serves ``heimdallr.deid.v1.OutboundService``."""

    async def ReleaseText(
        self, request: pb.ReleaseTextRequest, context: TextContext
    ) -> pb.ReleaseTextResponse:
        """See ``outbound_service.proto``."""
        release_id = release_id_of(request.release_id)
        checked_destination(request.project_id, request.destination)
        fields, known = fields_from_proto(request), known_from_proto(request.known)
        try:
            released = await asyncio.to_thread(
                release_text, fields, known, request.patient_age_years
            )
        except TextRefusedError as error:
            RELEASES.labels("text", "refused").inc()
            raise NotReleasedError(error.rule, field=error.field) from None
        RELEASES.labels("text", "released").inc()
        WORDS_REMOVED.inc(released.removed_count)
        return pb.ReleaseTextResponse(
            fields=[pb.TextField(name=one.name, text=one.text) for one in released.fields],
            age_band=released.age_band,
            release_id=release_id,
            removed_count=released.removed_count,
        )

    async def ReleaseImage(
        self, request: pb.ReleaseImageRequest, context: ImageContext
    ) -> AsyncIterator[pb.ReleaseImageResponse]:
        """See ``outbound_service.proto``."""
        release_id_of(request.release_id)
        checked_destination(request.project_id, request.destination)
        RELEASES.labels("image", "refused").inc()
        raise OcrUnavailableError
        yield pb.ReleaseImageResponse()

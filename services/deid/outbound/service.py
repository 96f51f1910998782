"""gRPC adapter of the door to addresses outside: translates messages, decides nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

import grpc

from heimdallr.deid.v1 import outbound_service_pb2 as pb
from heimdallr.deid.v1 import outbound_service_pb2_grpc as pb_grpc
from services.deid.outbound.image_release import Pictures
from services.deid.outbound.messages import (
    checked_destination,
    fields_from_proto,
    known_from_proto,
    release_id_of,
)
from services.deid.outbound.metrics import RELEASES, WORDS_REMOVED
from services.deid.outbound.text_release import TextRefusedError, release_text
from services.runtime.blob_messages import blob_from_proto
from services.runtime.errors import InvalidFieldError, NotReleasedError, OcrUnavailableError

_CHUNK_BYTES: Final = 1 << 20
ImageContext = grpc.aio.ServicerContext[pb.ReleaseImageRequest, pb.ReleaseImageResponse]
TextContext = grpc.aio.ServicerContext[pb.ReleaseTextRequest, pb.ReleaseTextResponse]


class OutboundService(pb_grpc.OutboundServiceServicer):
    """Serves ``heimdallr.deid.v1.OutboundService``.

    Args:
        pictures: Makes pictures of stored objects.
    """

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

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
        release_id = release_id_of(request.release_id)
        checked_destination(request.project_id, request.destination)
        ref, frame = blob_from_proto(request.content, "content"), request.frame or 1
        if frame < 1:
            raise InvalidFieldError("frame", "from 1, or 0 for the first")
        try:
            picture = await self._pictures.release(request.project_id, ref, frame)
        except (NotReleasedError, OcrUnavailableError):
            RELEASES.labels("image", "refused").inc()
            raise
        RELEASES.labels("image", "released").inc()
        sha256 = hashlib.sha256(picture.png).hexdigest()
        image = pb.ReleasedImage(release_id=release_id, sha256=sha256, boxes=picture.boxes)
        yield pb.ReleaseImageResponse(image=image)
        for at in range(0, len(picture.png), _CHUNK_BYTES):
            yield pb.ReleaseImageResponse(chunk=picture.png[at : at + _CHUNK_BYTES])

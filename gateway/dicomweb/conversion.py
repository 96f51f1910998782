"""The conversion service as DICOMweb uses it, once the archive has let the caller in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import grpc

from gateway.dicomweb.problems import problems
from gateway.dicomweb.render_stream import RenderStream
from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.conversion.v1.conversion_service_pb2_grpc import ConversionServiceStub
from services.runtime.blob_messages import blob_to_proto
from services.runtime.blob_ref import BlobRef

_TIMEOUT_S: Final = 120.0


class Conversion:
    """Draws, decodes and transcodes.

    Args:
        own: Channel that calls as the gateway.
    """

    def __init__(self, own: grpc.aio.Channel) -> None:
        self._stub = ConversionServiceStub(own)
        self._pictures = RenderStream(self._stub.RenderFrames)

    async def render(self, request: pb.RenderFrameRequest) -> bytes:
        """Return a picture.

        Raises:
            Problem: It cannot be made.
        """
        with problems():
            return await self._pictures.render(request)

    async def decoded(self, blob: BlobRef, frames: Sequence[int]) -> AsyncIterator[bytes]:
        """Yield frames, numbered from 1, as native little endian pixels.

        Raises:
            Problem: They cannot be decoded.
        """
        request = pb.DecodeFramesRequest(blob=blob_to_proto(blob), frames=frames)
        parts: list[bytes] = []
        with problems():
            async for part in self._stub.DecodeFrames(request, timeout=_TIMEOUT_S):
                parts.append(part.data)
                if part.last:
                    yield b"".join(parts)
                    parts = []

    async def transcoded(self, blob: BlobRef, transfer_syntax_uid: str) -> AsyncIterator[bytes]:
        """Yield the pieces of an instance's file in another transfer syntax.

        Raises:
            Problem: It cannot be written so.
        """
        request = pb.TranscodeInstanceRequest(
            blob=blob_to_proto(blob), transfer_syntax_uid=transfer_syntax_uid
        )
        with problems():
            async for part in self._stub.TranscodeInstance(request, timeout=_TIMEOUT_S):
                yield part.data

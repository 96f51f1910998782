"""gRPC adapter: translates messages, decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import grpc

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as pb_grpc
from heimdallr.imaging.v1 import volume_pb2
from services.conversion import messages
from services.conversion.conversion import Converted, Instance, convert_series
from services.conversion.dicom_files import gather_files
from services.conversion.imaging_pool import Chunk, ImagingPool
from services.conversion.imaging_tasks import decode_task, render_task, transcode_task
from services.conversion.metadata import MEDIA_TYPE, write_metadata
from services.conversion.metrics import StepClock
from services.conversion.previews import Picture
from services.conversion.provenance import Clock
from services.conversion.render_stream import RenderStream
from services.conversion.selection import select
from services.conversion.series import Refusal
from services.conversion.settings import ConversionSettings
from services.conversion.stored_images import StoredImages
from services.conversion.thumbnails import thumbnail
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.blobs import BlobStore
from services.runtime.errors import InvalidFieldError
from services.runtime.workspaces import Workspaces

MAX_INSTANCES: Final = 20_000
MAX_CANDIDATES: Final = 10_000
CHUNK_BYTES: Final = 1 << 20
_PNG: Final = "image/png"

SelectContext = grpc.aio.ServicerContext[pb.SelectSeriesRequest, pb.SelectSeriesResponse]
DescribeContext = grpc.aio.ServicerContext[pb.DescribeSeriesRequest, pb.DescribeSeriesResponse]
ConvertContext = grpc.aio.ServicerContext[pb.ConvertSeriesRequest, pb.ConvertSeriesResponse]
RenderContext = grpc.aio.ServicerContext[pb.RenderFrameRequest, pb.RenderFrameResponse]
RenderManyContext = grpc.aio.ServicerContext[pb.RenderFramesRequest, pb.RenderFramesResponse]
DecodeContext = grpc.aio.ServicerContext[pb.DecodeFramesRequest, pb.DecodeFramesResponse]
TranscodeContext = grpc.aio.ServicerContext[
    pb.TranscodeInstanceRequest, pb.TranscodeInstanceResponse
]


class ConversionService(pb_grpc.ConversionServiceServicer):
    """Serves ``heimdallr.conversion.v1.ConversionService``."""

    def __init__(
        self, blobs: BlobStore, workspaces: Workspaces, settings: ConversionSettings
    ) -> None:
        self._blobs = blobs
        self._workspaces = workspaces
        self._limits = settings.limits
        self._conversions = asyncio.Semaphore(settings.at_once)
        self._descriptions = asyncio.Semaphore(settings.at_once)
        self._images = StoredImages(blobs, workspaces)
        self._imaging = ImagingPool(settings.imaging_limits, settings.work_folder)

    async def SelectSeries(
        self, request: pb.SelectSeriesRequest, context: SelectContext
    ) -> pb.SelectSeriesResponse:
        """See ``conversion_service.proto``."""
        if len(request.candidates) > MAX_CANDIDATES:
            raise InvalidFieldError("candidates", f"at most {MAX_CANDIDATES}")
        candidates = [messages.candidate_from_proto(c) for c in request.candidates]
        if len({c.series_id for c in candidates}) < len(candidates):
            raise InvalidFieldError("candidates", "each series once")
        scores = [messages.score_to_proto(score) for score in select(candidates)]
        return pb.SelectSeriesResponse(scores=scores)

    async def DescribeSeries(
        self, request: pb.DescribeSeriesRequest, context: DescribeContext
    ) -> pb.DescribeSeriesResponse:
        """See ``conversion_service.proto``."""
        clock = Clock()
        instances = _instances(request.instances)
        async with self._descriptions:
            with self._workspaces.folder() as folder, StepClock("describe") as timed:
                reply = await self._described(instances, folder)
                timed.outcome = "done"
        inputs = [instance.blob.sha256 for instance in instances]
        reply.provenance.CopyFrom(clock.provenance("", "", inputs))
        return reply

    async def ConvertSeries(
        self, request: pb.ConvertSeriesRequest, context: ConvertContext
    ) -> AsyncIterator[pb.ConvertSeriesResponse]:
        """See ``conversion_service.proto``."""
        clock = Clock()
        instances = _instances(request.instances)
        steps: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
        work = asyncio.create_task(self._converted(instances, steps))
        try:
            while (step := await steps.get()) is not None:
                yield messages.progress_to_proto(*step)
            yield await self._outcome(await work, instances, clock)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def RenderFrame(
        self, request: pb.RenderFrameRequest, context: RenderContext
    ) -> AsyncIterator[pb.RenderFrameResponse]:
        """See ``conversion_service.proto``."""
        async with aclosing(self._rendered(request)) as pieces:
            async for data in pieces:
                yield pb.RenderFrameResponse(data=data)

    async def RenderFrames(
        self, request_iterator: AsyncIterator[pb.RenderFramesRequest], context: RenderManyContext
    ) -> AsyncIterator[pb.RenderFramesResponse]:
        """See ``conversion_service.proto``."""
        async for answer in RenderStream(self._rendered).answers(request_iterator):
            yield answer

    async def DecodeFrames(
        self, request: pb.DecodeFramesRequest, context: DecodeContext
    ) -> AsyncIterator[pb.DecodeFramesResponse]:
        """See ``conversion_service.proto``."""

        def work(path: Path) -> AsyncGenerator[Chunk, None]:
            return self._imaging.run(decode_task(request.frames, path))

        ref = blob_from_proto(request.blob)
        async with aclosing(self._images.read(ref, work)) as chunks:
            async for chunk in chunks:
                yield pb.DecodeFramesResponse(
                    data=chunk.data,
                    last=chunk.last,
                    photometric_interpretation=chunk.said["photometric"],
                )

    async def TranscodeInstance(
        self, request: pb.TranscodeInstanceRequest, context: TranscodeContext
    ) -> AsyncIterator[pb.TranscodeInstanceResponse]:
        """See ``conversion_service.proto``."""
        with self._workspaces.folder() as folder:
            target = folder / "transcoded.dcm"
            async with self._images.opened(blob_from_proto(request.blob)) as path:
                task = transcode_task(request.transfer_syntax_uid, path, target)
                async for _ in self._imaging.run(task):
                    pass
            with target.open("rb") as file:
                while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    yield pb.TranscodeInstanceResponse(data=data)

    async def _rendered(self, request: pb.RenderFrameRequest) -> AsyncGenerator[bytes, None]:
        def work(path: Path) -> AsyncGenerator[Chunk, None]:
            return self._imaging.run(render_task(request, path))

        ref = blob_from_proto(request.blob)
        async with aclosing(self._images.read(ref, work)) as chunks:
            async for chunk in chunks:
                yield chunk.data

    async def close(self) -> None:
        """End the processes that work on pixels."""
        await self._imaging.close()

    async def _converted(
        self, instances: Sequence[Instance], steps: asyncio.Queue[tuple[float, str] | None]
    ) -> Converted | Refusal:
        def report(fraction: float, activity: str) -> None:
            steps.put_nowait((fraction, activity))

        try:
            report(0.0, "Waiting for a free place")
            async with self._conversions:
                with self._workspaces.folder() as folder, StepClock("convert") as timed:
                    outcome = await convert_series(
                        instances, self._blobs, folder, self._limits, report
                    )
                    timed.outcome = "refused" if isinstance(outcome, Refusal) else "done"
                    return outcome
        finally:
            steps.put_nowait(None)

    async def _outcome(
        self, outcome: Converted | Refusal, instances: Sequence[Instance], clock: Clock
    ) -> pb.ConvertSeriesResponse:
        if isinstance(outcome, Refusal):
            return pb.ConvertSeriesResponse(refusal=messages.refusal_to_proto(outcome))
        previews = [await self._stored(picture) for picture in outcome.pictures]
        provenance = clock.by_tool([instance.blob.sha256 for instance in instances])
        return messages.conversion_to_proto(messages.volume_to_proto(outcome, provenance), previews)

    async def _described(
        self, instances: Sequence[Instance], folder: Path
    ) -> pb.DescribeSeriesResponse:
        files = await gather_files(self._blobs, [i.blob for i in instances], folder / "in")
        target = folder / "metadata.json.gz"
        facts = [instance.facts for instance in instances]
        await asyncio.to_thread(write_metadata, files, facts, target)
        metadata = await self._blobs.put_file(target, MEDIA_TYPE)
        middle = len(files) // 2
        picture = await thumbnail(files[middle], facts[middle], folder)
        reply = pb.DescribeSeriesResponse(metadata=blob_to_proto(metadata))
        if isinstance(picture, Refusal):
            reply.thumbnail_refusal.CopyFrom(messages.refusal_to_proto(picture))
        else:
            reply.thumbnail.CopyFrom(await self._stored(picture))
        return reply

    async def _stored(self, picture: Picture) -> volume_pb2.Preview:
        image = await self._blobs.put_bytes(picture.png, _PNG)
        return messages.preview_to_proto(image, picture.kind, picture.alternative_text)


def _instances(given: Sequence[pb.SeriesInstance]) -> list[Instance]:
    if not given:
        raise InvalidFieldError("instances", "at least one")
    if len(given) > MAX_INSTANCES:
        raise InvalidFieldError("instances", f"at most {MAX_INSTANCES}")
    if len({message.attributes.series_instance_uid for message in given}) > 1:
        raise InvalidFieldError("instances", "all of one series")
    return [messages.instance_from_proto(message, n) for n, message in enumerate(given)]

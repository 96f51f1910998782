"""gRPC adapter: translates messages, decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import grpc

from heimdallr.analysis.v1 import analysis_service_pb2 as pb
from heimdallr.analysis.v1 import analysis_service_pb2_grpc as pb_grpc
from heimdallr.imaging.v1 import progress_pb2
from services.analysis.analyzer import Analysis, TissueAnalyzer
from services.analysis.errors import ModelUnavailableError
from services.analysis.measurement import Refusal
from services.analysis.messages import (
    analysis_to_proto,
    facts_from_proto,
    model_to_proto,
    refusal_to_proto,
)
from services.runtime.blob_messages import blob_from_proto
from services.runtime.errors import ModelNotFoundError

ListContext = grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse]
AnalyzeContext = grpc.aio.ServicerContext[pb.AnalyzeVolumeRequest, pb.AnalyzeVolumeResponse]


class Loader(Protocol):
    """Makes models ready."""

    async def ensure_loaded(self, model: str) -> int:
        """Load a model unless it is; see `services.analysis.triton.TritonClient`."""
        ...


class AnalysisService(pb_grpc.AnalysisServiceServicer):
    """Serves ``heimdallr.analysis.v1.AnalysisService``."""

    def __init__(self, analyzer: TissueAnalyzer, loader: Loader) -> None:
        self._analyzer = analyzer
        self._loader = loader

    async def ListModels(
        self, request: pb.ListModelsRequest, context: ListContext
    ) -> pb.ListModelsResponse:
        """See ``analysis_service.proto``."""
        card, unavailability = self._analyzer.card, None
        try:
            await self._loader.ensure_loaded(card.name)
        except ModelUnavailableError as error:
            unavailability = Refusal("MODEL_UNAVAILABLE", f"The model cannot run now: {error}.")
        return pb.ListModelsResponse(models=[model_to_proto(card, unavailability)])

    async def AnalyzeVolume(
        self, request: pb.AnalyzeVolumeRequest, context: AnalyzeContext
    ) -> AsyncIterator[pb.AnalyzeVolumeResponse]:
        """See ``analysis_service.proto``."""
        if request.model != self._analyzer.card.name:
            raise ModelNotFoundError(request.model[:64])
        nifti = blob_from_proto(request.volume.nifti, "volume.nifti")
        facts = facts_from_proto(request.volume)
        steps: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
        work = asyncio.create_task(
            self._analyzer.analyze(
                nifti, facts, lambda share, what: steps.put_nowait((share, what))
            )
        )
        work.add_done_callback(lambda _: steps.put_nowait(None))
        try:
            while (step := await steps.get()) is not None:
                progress = progress_pb2.Progress(fraction=step[0], activity=step[1])
                yield pb.AnalyzeVolumeResponse(progress=progress)
            yield _outcome(await work)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def _outcome(outcome: Analysis | Refusal) -> pb.AnalyzeVolumeResponse:
    if isinstance(outcome, Refusal):
        return pb.AnalyzeVolumeResponse(refusal=refusal_to_proto(outcome))
    return pb.AnalyzeVolumeResponse(analysis=analysis_to_proto(outcome))

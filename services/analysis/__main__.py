"""Starts the analysis service."""

from __future__ import annotations

from heimdallr.analysis.v1 import analysis_service_pb2_grpc as pb_grpc
from services.analysis.analyzer import TissueAnalyzer
from services.analysis.metrics import models_gather
from services.analysis.model_repository import ct_tissue_card
from services.analysis.service import AnalysisService
from services.analysis.settings import AnalysisSettings
from services.analysis.triton import TritonClient
from services.runtime.blobs import open_blobs
from services.runtime.server import Hooks, run, serve
from services.runtime.settings import RuntimeSettings, load_settings


async def main() -> None:
    """Serve until told to stop."""
    runtime, settings = load_settings(RuntimeSettings), load_settings(AnalysisSettings)
    blobs = open_blobs(runtime.blobs, free_bytes=runtime.blobs_free_bytes)
    triton = TritonClient(
        settings.triton_address, concurrency=settings.concurrency, prefix=settings.shm_prefix
    )
    card = ct_tissue_card(settings.model_repository)
    service = AnalysisService(TissueAnalyzer(triton, blobs, card, settings.limits), triton)
    try:
        await triton.sweep()
        await serve(
            runtime,
            lambda server: pb_grpc.add_AnalysisServiceServicer_to_server(service, server),
            hooks=Hooks(gathers=[models_gather(triton, card.name)]),
        )
    finally:
        await triton.close()


if __name__ == "__main__":
    run(main)

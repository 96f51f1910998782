"""Servicers that stand in for conversion, analysis and reporting, behind a real gRPC server."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from heimdallr.analysis.v1 import analysis_service_pb2 as analysis_pb
from heimdallr.analysis.v1 import analysis_service_pb2_grpc as analysis_grpc
from heimdallr.conversion.v1 import conversion_service_pb2 as conversion_pb
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as conversion_grpc
from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.imaging.v1.measurement_pb2 import Refusal
from heimdallr.imaging.v1.progress_pb2 import Progress
from heimdallr.imaging.v1.provenance_pb2 import Provenance
from heimdallr.imaging.v1.volume_pb2 import Preview, Volume
from heimdallr.reporting.v1 import reporting_service_pb2 as reporting_pb
from heimdallr.reporting.v1 import reporting_service_pb2_grpc as reporting_grpc
from services.runtime.interceptors.errors import ErrorInterceptor

Context = grpc.aio.ServicerContext[Any, Any]
Before = Callable[[str], Awaitable[None]]


def blob(*parts: str) -> BlobRef:
    """Return a made-up blob that depends on the parts alone."""
    content = "/".join(parts).encode()
    return BlobRef(
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        media_type="application/gzip",
    )


@dataclass
class FakeMesh(
    conversion_grpc.ConversionServiceServicer,
    analysis_grpc.AnalysisServiceServicer,
    reporting_grpc.ReportingServiceServicer,
):
    """Answers like the services would.

    Attributes:
        calls: How often each was called, e.g. "convert CT".
        before: Runs before each call's work with the same name; may wait or raise.
        refuse: Modalities whose conversion is refused.
        reports: Requests of reports.
        models: Registered models.
    """

    calls: Counter[str] = field(default_factory=Counter)
    before: Before | None = None
    refuse: frozenset[str] = frozenset()
    reports: list[reporting_pb.ComposeReportRequest] = field(default_factory=list)
    selections: list[conversion_pb.SelectSeriesRequest] = field(default_factory=list)
    models: tuple[str, ...] = ("ct_tissue", "other_model")

    async def _count(self, name: str) -> None:
        self.calls[name] += 1
        if self.before is not None:
            await self.before(name)

    async def SelectSeries(
        self, request: conversion_pb.SelectSeriesRequest, context: Context
    ) -> conversion_pb.SelectSeriesResponse:
        await self._count("select")
        self.selections.append(request)
        scores = [
            conversion_pb.SeriesScore(
                series_id=one.series_id,
                selected=one.attributes.modality in ("CT", "MR"),
                score=1.0,
                reasons=[conversion_pb.ScoreReason(code="MODALITY", points=1.0, text="It is.")],
            )
            for one in request.candidates
        ]
        return conversion_pb.SelectSeriesResponse(scores=scores)

    async def DescribeSeries(
        self, request: conversion_pb.DescribeSeriesRequest, context: Context
    ) -> conversion_pb.DescribeSeriesResponse:
        await self._count(f"describe {_modality(request)}")
        return conversion_pb.DescribeSeriesResponse(
            metadata=blob("metadata", *_hashes(request)),
            thumbnail=Preview(image=blob("thumbnail", *_hashes(request)), kind="thumbnail"),
            provenance=Provenance(service="conversion", service_version="1.2.3"),
        )

    async def ConvertSeries(
        self, request: conversion_pb.ConvertSeriesRequest, context: Context
    ) -> AsyncIterator[conversion_pb.ConvertSeriesResponse]:
        modality = _modality(request)
        yield conversion_pb.ConvertSeriesResponse(
            progress=Progress(fraction=0.5, activity="Converting")
        )
        await self._count(f"convert {modality}")
        if modality in self.refuse:
            refusal = Refusal(code="UNEVEN_SPACING", text="The slices are not evenly spaced.")
            yield conversion_pb.ConvertSeriesResponse(refusal=refusal)
            return
        volume = Volume(
            nifti=blob("nifti", *_hashes(request)),
            modality=modality,
            provenance=Provenance(service="conversion", service_version="1.2.3"),
        )
        yield conversion_pb.ConvertSeriesResponse(
            conversion=conversion_pb.Conversion(volume=volume)
        )

    async def ListModels(
        self, request: analysis_pb.ListModelsRequest, context: Context
    ) -> analysis_pb.ListModelsResponse:
        await self._count("models")
        models = [
            analysis_pb.Model(name=name, version="1", modalities=["CT"], available=True)
            for name in self.models
        ]
        return analysis_pb.ListModelsResponse(models=models)

    async def AnalyzeVolume(
        self, request: analysis_pb.AnalyzeVolumeRequest, context: Context
    ) -> AsyncIterator[analysis_pb.AnalyzeVolumeResponse]:
        await self._count(f"analyze {request.model} {request.volume.modality}")
        yield analysis_pb.AnalyzeVolumeResponse(
            progress=Progress(fraction=0.1, activity="Measuring")
        )
        analysis = analysis_pb.Analysis(
            labelmap=blob("labels", request.model, request.volume.nifti.sha256),
            provenance=Provenance(service="analysis", service_version="4.5.6", tool=request.model),
        )
        yield analysis_pb.AnalyzeVolumeResponse(analysis=analysis)

    async def ComposeReport(
        self, request: reporting_pb.ComposeReportRequest, context: Context
    ) -> reporting_pb.ComposeReportResponse:
        self.reports.append(request)
        await self._count("report")
        return reporting_pb.ComposeReportResponse(
            structured=blob("structured", request.subject.study_id, str(len(self.reports))),
            pdf=blob("pdf", request.subject.study_id, str(len(self.reports))),
            provenance=Provenance(service="reporting", service_version="7.8.9"),
        )


@asynccontextmanager
async def served(mesh: FakeMesh, folder: Path) -> AsyncIterator[str]:
    """Serve it on a socket in a folder and yield the address."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    conversion_grpc.add_ConversionServiceServicer_to_server(mesh, server)
    analysis_grpc.add_AnalysisServiceServicer_to_server(mesh, server)
    reporting_grpc.add_ReportingServiceServicer_to_server(mesh, server)
    address = f"unix:{folder}/mesh.sock"
    server.add_insecure_port(address)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(grace=None)


class Gate:
    """Stops calls of one name until it is opened."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, name: str) -> None:
        if name == self._name:
            self.reached.set()
            await self.opened.wait()


def _modality(
    request: conversion_pb.DescribeSeriesRequest | conversion_pb.ConvertSeriesRequest,
) -> str:
    return request.instances[0].attributes.modality


def _hashes(
    request: conversion_pb.DescribeSeriesRequest | conversion_pb.ConvertSeriesRequest,
) -> list[str]:
    return sorted(instance.blob.sha256 for instance in request.instances)

"""gRPC adapter: translates messages, decides nothing."""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import grpc

from heimdallr.imaging.v1 import provenance_pb2
from heimdallr.reporting.v1 import reporting_service_pb2 as pb
from heimdallr.reporting.v1 import reporting_service_pb2_grpc as pb_grpc
from services.reporting import pdf, structured
from services.reporting.messages import report_from_proto
from services.reporting.metrics import REPORT_SECONDS
from services.reporting.report import Report
from services.reporting.settings import ReportingSettings
from services.runtime.blob_messages import blob_to_proto
from services.runtime.blobs import BlobStore

MAX_PICTURE_BYTES: Final = 32 << 20
_VERSION: Final = importlib.metadata.version("heimdallr")
_TYPST: Final = importlib.metadata.version("typst")

Context = grpc.aio.ServicerContext[pb.ComposeReportRequest, pb.ComposeReportResponse]


class ReportingService(pb_grpc.ReportingServiceServicer):
    """Serves ``heimdallr.reporting.v1.ReportingService``."""

    def __init__(self, blobs: BlobStore, settings: ReportingSettings) -> None:
        self._blobs = blobs
        self._fonts = settings.font_folder
        self._places = asyncio.Semaphore(settings.at_once)

    async def ComposeReport(
        self, request: pb.ComposeReportRequest, context: Context
    ) -> pb.ComposeReportResponse:
        """See ``reporting_service.proto``."""
        started, clock = datetime.now(UTC), time.monotonic()
        report = report_from_proto(request)
        async with self._places:
            with REPORT_SECONDS.time():
                picture = await self._picture(report)
                result = await asyncio.to_thread(structured.structured_result, report)
                pages = await asyncio.to_thread(pdf.render_pdf, report, picture, self._fonts)
        reply = pb.ComposeReportResponse(
            structured=blob_to_proto(await self._blobs.put_bytes(result, structured.MEDIA_TYPE)),
            pdf=blob_to_proto(await self._blobs.put_bytes(pages, pdf.MEDIA_TYPE)),
            provenance=_provenance(_inputs(request)),
        )
        reply.provenance.start_time.FromDatetime(started)
        reply.provenance.duration.FromNanoseconds(int((time.monotonic() - clock) * 1e9))
        return reply

    async def _picture(self, report: Report) -> bytes | None:
        picture = report.key_image()
        if picture is None:
            return None
        return await self._blobs.read(picture.image, limit_bytes=MAX_PICTURE_BYTES)


def _inputs(request: pb.ComposeReportRequest) -> list[str]:
    """SHA-256 of the volumes and label maps that the report speaks of."""
    found = []
    for series in request.series:
        found.append(series.volume.nifti.sha256)
        found.extend(analysis.labelmap.sha256 for analysis in series.analyses)
    return [sha256 for sha256 in found if sha256]


def _provenance(inputs: Sequence[str]) -> provenance_pb2.Provenance:
    return provenance_pb2.Provenance(
        service="reporting",
        service_version=_VERSION,
        tool="typst",
        tool_version=_TYPST,
        input_sha256=inputs,
        parameters=[f"pdf={','.join(pdf.STANDARDS)}", f"schema={structured.SCHEMA}"],
        device="cpu",
    )

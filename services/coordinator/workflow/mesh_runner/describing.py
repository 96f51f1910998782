"""Metadata and thumbnail of a series."""

from __future__ import annotations

import grpc

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.conversion.v1.conversion_service_pb2_grpc import ConversionServiceStub
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow.mesh_runner.calls import (
    DEADLINES_S,
    check_size,
    done,
    series_instances,
    series_of,
    stage_failures,
)
from services.coordinator.workflow.runner import Attempt, ProgressSink, StageResult
from services.coordinator.workflow.stages import StageKind


class DescribeStage:
    """Has a series described."""

    def __init__(self, channel: grpc.aio.Channel, archive: ArchiveStore) -> None:
        self._conversion = ConversionServiceStub(channel)
        self._archive = archive

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        series_id = series_of(attempt.stage)
        request = pb.DescribeSeriesRequest(
            attempt_id=attempt.attempt_id,
            instances=await series_instances(self._archive, series_id),
        )
        if (too_large := check_size(request)) is not None:
            return too_large
        progress(0.0, "Reading the series")
        with stage_failures():
            described = await self._conversion.DescribeSeries(
                request, timeout=DEADLINES_S[StageKind.DESCRIBE]
            )
        return done(described, described.provenance.service_version)

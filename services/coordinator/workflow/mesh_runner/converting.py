"""A series as a volume."""

from __future__ import annotations

import grpc

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.conversion.v1.conversion_service_pb2_grpc import ConversionServiceStub
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow.mesh_runner.calls import (
    DEADLINES_S,
    check_size,
    done,
    outcome_of,
    refused,
    series_instances,
    series_of,
)
from services.coordinator.workflow.runner import Attempt, ProgressSink, StageResult
from services.coordinator.workflow.stages import StageKind


class ConvertStage:
    """Has a series converted."""

    def __init__(self, channel: grpc.aio.Channel, archive: ArchiveStore) -> None:
        self._conversion = ConversionServiceStub(channel)
        self._archive = archive

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        series_id = series_of(attempt.stage)
        request = pb.ConvertSeriesRequest(
            attempt_id=attempt.attempt_id,
            instances=await series_instances(self._archive, series_id),
        )
        if (too_large := check_size(request)) is not None:
            return too_large
        stream = self._conversion.ConvertSeries(request, timeout=DEADLINES_S[StageKind.CONVERT])
        last = await outcome_of(stream, progress)
        if last.HasField("refusal"):
            return refused(last.refusal)
        volume = last.conversion.volume
        return done(last.conversion, volume.provenance.service_version, volume.nifti.sha256)

"""A model on a volume."""

from __future__ import annotations

import grpc

from heimdallr.analysis.v1 import analysis_service_pb2 as pb
from heimdallr.analysis.v1.analysis_service_pb2_grpc import AnalysisServiceStub
from services.coordinator.workflow.mesh_runner.calls import (
    DEADLINES_S,
    done,
    outcome_of,
    refused,
    series_of,
)
from services.coordinator.workflow.mesh_runner.earlier import earlier_outcome
from services.coordinator.workflow.retry import Failure
from services.coordinator.workflow.runner import (
    Attempt,
    ProgressSink,
    StageFailedError,
    StageResult,
)
from services.coordinator.workflow.stages import StageKind
from services.runtime.postgres import Pool


class AnalyzeStage:
    """Has a converted series analysed by a model."""

    def __init__(self, channel: grpc.aio.Channel, pool: Pool) -> None:
        self._analysis = AnalysisServiceStub(channel)
        self._pool = pool

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        stage = attempt.stage
        outcome = await earlier_outcome(self._pool, stage)
        conversion = outcome.of(series_of(stage)).conversion
        if conversion is None:
            raise StageFailedError(Failure("FAILED_PRECONDITION"))
        request = pb.AnalyzeVolumeRequest(
            attempt_id=attempt.attempt_id, model=stage.model, volume=conversion.volume
        )
        stream = self._analysis.AnalyzeVolume(request, timeout=DEADLINES_S[StageKind.ANALYZE])
        last = await outcome_of(stream, progress)
        if last.HasField("refusal"):
            return refused(last.refusal)
        return done(last.analysis, last.analysis.provenance.service_version)

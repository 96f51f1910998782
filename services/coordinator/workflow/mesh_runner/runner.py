"""Gives each stage to the module that knows its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow.mesh_runner.analyzing import AnalyzeStage
from services.coordinator.workflow.mesh_runner.calls import stage_failures
from services.coordinator.workflow.mesh_runner.converting import ConvertStage
from services.coordinator.workflow.mesh_runner.deidentifying import DeidentifyStage
from services.coordinator.workflow.mesh_runner.describing import DescribeStage
from services.coordinator.workflow.mesh_runner.planning import PlanStage
from services.coordinator.workflow.mesh_runner.reporting import ReportStage
from services.coordinator.workflow.retry import Failure
from services.coordinator.workflow.runner import (
    Attempt,
    ProgressSink,
    StageFailedError,
    StageResult,
    StageRunner,
)
from services.coordinator.workflow.stages import StageKind
from services.runtime.errors import ServiceError
from services.runtime.postgres import Pool


class MeshRunner:
    """Satisfies `StageRunner` over one channel to the mesh."""

    def __init__(self, channel: grpc.aio.Channel, archive: ArchiveStore, pool: Pool) -> None:
        self._by_kind: Final[Mapping[StageKind, StageRunner]] = {
            StageKind.PLAN: PlanStage(channel, archive, pool),
            StageKind.DESCRIBE: DescribeStage(channel, archive),
            StageKind.CONVERT: ConvertStage(channel, archive),
            StageKind.ANALYZE: AnalyzeStage(channel, pool),
            StageKind.REPORT: ReportStage(channel, archive, pool),
            StageKind.DEIDENTIFY: DeidentifyStage(channel, pool),
        }

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        try:
            with stage_failures():
                return await self._by_kind[attempt.stage.kind].run(attempt, progress)
        except ServiceError as error:
            # Of our own: Postgres or the token cannot be had now.
            raise StageFailedError(Failure(error.code.name, _reason(error))) from None


def _reason(error: ServiceError) -> str:
    return ErrorReason.Name(error.reason)

"""The report of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import grpc

from heimdallr.conversion.v1 import conversion_service_pb2 as conversion_pb
from heimdallr.reporting.v1 import reporting_service_pb2 as pb
from heimdallr.reporting.v1.reporting_service_pb2_grpc import ReportingServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import Evidence, SeriesRecord, StudyRecord
from services.coordinator.workflow.mesh_runner.calls import (
    DEADLINES_S,
    done,
    stage_failures,
)
from services.coordinator.workflow.mesh_runner.earlier import earlier_outcome
from services.coordinator.workflow.messages import timestamp
from services.coordinator.workflow.retry import Failure
from services.coordinator.workflow.runner import (
    Attempt,
    ProgressSink,
    StageFailedError,
    StageResult,
)
from services.coordinator.workflow.stages import Stage, StageKind
from services.coordinator.workflow.store import QUERIES
from services.coordinator.workflow.study_results import SeriesOutcome, StudyOutcome
from services.runtime.postgres import Pool, connection

COMPLETENESS: Final[Mapping[Evidence | None, str]] = {
    None: "It is not known whether the study is complete.",
    Evidence.MANIFEST: "Complete by the sender's own list of images.",
    Evidence.COUNT: "Complete by the number of images the source confirmed.",
    Evidence.RELEASED: "Taken as complete: the sender ended the transfer in order.",
    Evidence.QUIET: "Taken as complete: no more images came for a set time.",
    Evidence.PERSON: "Complete by the word of a person.",
}


class ReportStage:
    """Has the report of a study made."""

    def __init__(self, channel: grpc.aio.Channel, archive: ArchiveStore, pool: Pool) -> None:
        self._reporting = ReportingServiceStub(channel)
        self._archive = archive
        self._pool = pool

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        request = await self._request(attempt)
        progress(0.0, "Writing the report")
        with stage_failures():
            made = await self._reporting.ComposeReport(
                request, timeout=DEADLINES_S[StageKind.REPORT]
            )
        return done(made, made.provenance.service_version)

    async def _request(self, attempt: Attempt) -> pb.ComposeReportRequest:
        stage = attempt.stage
        study = await self._archive.study_record(stage.study_id)
        if study is None:
            raise StageFailedError(Failure("NOT_FOUND"))
        series = await self._archive.series_records(stage.study_id)
        outcome = await earlier_outcome(self._pool, stage)
        scores = await self._scores(stage)
        return pb.ComposeReportRequest(
            attempt_id=attempt.attempt_id,
            subject=_subject(study, stage.generation),
            series=_series_results(series, scores, outcome),
            # Since when it waits, not now: the same request gives the same bytes.
            report_time=timestamp(stage.queue_time or stage.create_time),
        )

    async def _scores(self, stage: Stage) -> dict[str, conversion_pb.SeriesScore]:
        async with connection(self._pool) as borrowed:
            content = await borrowed.fetchval(
                QUERIES["plan_of_study"], stage.study_id, stage.generation
            )
        plan = workflow_pb.Plan.FromString(content or b"")
        return {score.series_id: score for score in plan.series}


def _subject(study: StudyRecord, generation: int) -> pb.ReportSubject:
    return pb.ReportSubject(
        study_id=study.study_id,
        study_instance_uid=study.study_instance_uid,
        patient_name=study.patient_name,
        patient_id=study.patient_id_text,
        issuer_of_patient_id=study.issuer_of_patient_id,
        patient_birth_date=study.patient_birth_date,
        patient_sex=study.patient_sex,
        study_date=study.study_date,
        study_time=study.study_time,
        accession_number=study.accession_number,
        study_description=study.study_description,
        modalities=study.modalities,
        generation=generation,
        completeness=COMPLETENESS[study.evidence],
    )


def _series_results(
    series: Sequence[SeriesRecord],
    scores: Mapping[str, conversion_pb.SeriesScore],
    outcome: StudyOutcome,
) -> list[pb.SeriesResult]:
    found = [
        _series_result(one, scores.get(one.series_id), outcome.of(one.series_id)) for one in series
    ]
    return sorted(found, key=lambda result: not (result.analyses or result.HasField("volume")))


def _series_result(
    series: SeriesRecord, score: conversion_pb.SeriesScore | None, outcome: SeriesOutcome
) -> pb.SeriesResult:
    result = pb.SeriesResult(
        series_id=series.series_id,
        modality=series.modality,
        series_description=series.series_description,
        series_number=series.series_number,
        instance_count=series.instance_count,
        score=score,
        analyses=outcome.analyses,
        refusals=outcome.refusals,
    )
    if outcome.conversion is not None:
        result.volume.CopyFrom(outcome.conversion.volume)
        result.previews.extend(outcome.conversion.previews)
    return result

"""The plan: which series are worth analysing, which models run, and why."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import grpc

from heimdallr.analysis.v1 import analysis_service_pb2 as analysis_pb
from heimdallr.analysis.v1 import analysis_service_pb2_grpc as analysis_grpc
from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.conversion.v1.conversion_service_pb2_grpc import ConversionServiceStub
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import SeriesRecord
from services.coordinator.workflow import store
from services.coordinator.workflow.mesh_runner.calls import (
    DEADLINES_S,
    anonymous,
    done,
    stage_failures,
)
from services.coordinator.workflow.mesh_runner.deidentifying import add_wanted_stages
from services.coordinator.workflow.messages import plan_to_proto
from services.coordinator.workflow.plan import (
    ModelCard,
    RankedSeries,
    choose_models,
    plan_stages,
)
from services.coordinator.workflow.runner import Attempt, ProgressSink, StageResult
from services.coordinator.workflow.stages import Stage, StageKind
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.postgres import Pool, connection

_DEADLINE_S = DEADLINES_S[StageKind.PLAN]
_LIST_MODELS_S = 10.0


class PlanStage:
    """Makes the plan of a study."""

    def __init__(self, channel: grpc.aio.Channel, archive: ArchiveStore, pool: Pool) -> None:
        self._conversion = ConversionServiceStub(channel)
        self._analysis = analysis_grpc.AnalysisServiceStub(channel)
        self._archive = archive
        self._pool = pool

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        stage = attempt.stage
        progress(0.0, "Choosing series")
        series = await self._archive.series_records(stage.study_id)
        scores = await self._scores(stage, series)
        cards = await model_cards(self._analysis)
        ranked = _ranked(series, scores)
        choices = choose_models(ranked, cards)
        async with connection(self._pool) as borrowed:
            requests = await store.requested_analyses(borrowed, stage.study_id)
        plan = plan_to_proto(stage.generation, scores, choices)
        specs = plan_stages(ranked, choices, requests)
        result = done(plan, service_version="")
        keep = functools.partial(add_wanted_stages, stage=stage)
        return dataclasses.replace(result, plan=(result.result, specs), keep=keep)

    async def _scores(
        self, stage: Stage, series: Sequence[SeriesRecord]
    ) -> Sequence[pb.SeriesScore]:
        async with connection(self._pool) as borrowed:
            rows = await borrowed.fetch(store.QUERIES["first_instances"], stage.study_id)
        counts = {one.series_id: one.instance_count for one in series}
        candidates = [
            pb.SeriesCandidate(
                series_id=row["series_id"],
                instance_count=counts[row["series_id"]],
                attributes=anonymous(row["attributes"]),
            )
            for row in rows
            if row["series_id"] in counts
        ]
        request = pb.SelectSeriesRequest(candidates=candidates)
        with stage_failures():
            return (await self._conversion.SelectSeries(request, timeout=_DEADLINE_S)).scores


async def model_cards(analysis: analysis_grpc.AnalysisServiceAsyncStub) -> list[ModelCard] | None:
    """Return the registered models; None when they cannot be listed now."""
    try:
        with typed_errors():
            listed = await analysis.ListModels(
                analysis_pb.ListModelsRequest(), timeout=_LIST_MODELS_S
            )
    except ServiceCallError as error:
        # A study is planned without the list: the analysis itself waits for its service.
        if error.retryable:
            return None
        raise
    return [ModelCard(m.name, m.version, tuple(m.modalities)) for m in listed.models]


def _ranked(series: Sequence[SeriesRecord], scores: Sequence[pb.SeriesScore]) -> list[RankedSeries]:
    modalities = {one.series_id: one.modality for one in series}
    ranked = [
        RankedSeries(score.series_id, modalities[score.series_id], score.selected)
        for score in scores
        if score.series_id in modalities
    ]
    judged = {one.series_id for one in ranked}
    ranked += [
        RankedSeries(o.series_id, o.modality, False) for o in series if o.series_id not in judged
    ]
    return ranked

"""gRPC adapter: translates messages, decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc

from heimdallr.analysis.v1 import analysis_service_pb2_grpc as analysis_grpc
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1 import workflow_service_pb2_grpc as pb_grpc
from services.coordinator.archive.errors import SeriesNotFoundError, StudyNotFoundError
from services.coordinator.workflow import page_token
from services.coordinator.workflow.errors import StageNotFoundError
from services.coordinator.workflow.interventions import Interventions
from services.coordinator.workflow.mesh_runner.planning import model_cards
from services.coordinator.workflow.messages import priority_from_proto, state_from_proto
from services.coordinator.workflow.views import WorkflowViews
from services.coordinator.workflow.watch import ChangeFeed, wait_for
from services.runtime.errors import (
    DependencyUnavailableError,
    InvalidFieldError,
    ModelNotFoundError,
    ServiceError,
)
from services.runtime.ids import is_id

_HEARTBEAT_S: Final = 10.0
_SETTLED: Final = frozenset({archive_pb.STUDY_STATE_READY, archive_pb.STUDY_STATE_HELD})
_PAGE: Final = 50
_LARGEST_PAGE: Final = 500
_MOST_SERIES: Final = 100
_LONGEST_MODEL: Final = 64

Context = grpc.aio.ServicerContext[Any, Any]


class WorkflowService(pb_grpc.WorkflowServiceServicer):
    """Serves ``heimdallr.workflow.v1.WorkflowService``.

    Args:
        views: Reads.
        interventions: Changes.
        feed: Tells when something is new.
        analysis: Lists the models.
    """

    def __init__(
        self,
        views: WorkflowViews,
        interventions: Interventions,
        feed: ChangeFeed,
        analysis: analysis_grpc.AnalysisServiceAsyncStub,
    ) -> None:
        self._views = views
        self._interventions = interventions
        self._feed = feed
        self._analysis = analysis

    async def GetStudyWorkflow(
        self, request: pb.GetStudyWorkflowRequest, context: Context
    ) -> pb.GetStudyWorkflowResponse:
        """See ``workflow_service.proto``."""
        _check_id(request.study_id, StudyNotFoundError)
        return pb.GetStudyWorkflowResponse(
            workflow=await self._views.study_workflow(request.study_id)
        )

    async def WatchStudyWorkflow(
        self, request: pb.WatchStudyWorkflowRequest, context: Context
    ) -> AsyncIterator[pb.WatchStudyWorkflowResponse]:
        """See ``workflow_service.proto``."""
        _check_id(request.study_id, StudyNotFoundError)
        async with self._feed.watch(request.study_id) as changed:
            while True:
                workflow = await self._views.study_workflow(request.study_id)
                yield pb.WatchStudyWorkflowResponse(workflow=workflow)
                if request.until_settled and workflow.state in _SETTLED:
                    return
                await wait_for(changed, _HEARTBEAT_S)
                if self._feed.ended:
                    return

    async def ListStages(
        self, request: pb.ListStagesRequest, context: Context
    ) -> pb.ListStagesResponse:
        """See ``workflow_service.proto``."""
        size = request.page_size or _PAGE
        if not 1 <= size <= _LARGEST_PAGE:
            raise InvalidFieldError("page_size", f"1 to {_LARGEST_PAGE}")
        if request.study_id and not is_id(request.study_id):
            raise InvalidFieldError("study_id", "an id of ours")
        state = state_from_proto(request.state)
        after = page_token.decode(request.page_token)
        found = await self._views.stages(size + 1, state, request.study_id or None, after)
        more = len(found) > size
        return pb.ListStagesResponse(
            stages=await self._views.with_attempts(found[:size]),
            next_page_token=page_token.encode(found[size - 1]) if more else "",
        )

    async def GetStudyResults(
        self, request: pb.GetStudyResultsRequest, context: Context
    ) -> pb.GetStudyResultsResponse:
        """See ``workflow_service.proto``."""
        _check_id(request.study_id, StudyNotFoundError)
        return await self._views.results(request.study_id)

    async def SummarizeStudies(
        self, request: pb.SummarizeStudiesRequest, context: Context
    ) -> pb.SummarizeStudiesResponse:
        """See ``workflow_service.proto``."""
        if not 1 <= len(request.study_ids) <= _LARGEST_PAGE:
            raise InvalidFieldError("study_ids", f"1 to {_LARGEST_PAGE}")
        known = [study_id for study_id in request.study_ids if is_id(study_id)]
        return pb.SummarizeStudiesResponse(summaries=await self._views.summaries.of(known))

    async def GetQueue(self, request: pb.GetQueueRequest, context: Context) -> pb.GetQueueResponse:
        """See ``workflow_service.proto``."""
        return await self._views.queue()

    async def StartAnalysis(
        self, request: pb.StartAnalysisRequest, context: Context
    ) -> pb.StartAnalysisResponse:
        """See ``workflow_service.proto``."""
        _check_id(request.study_id, StudyNotFoundError)
        if not 1 <= len(request.series_ids) <= _MOST_SERIES:
            raise InvalidFieldError("series_ids", f"1 to {_MOST_SERIES}")
        for series_id in request.series_ids:
            _check_id(series_id, SeriesNotFoundError)
        priority = priority_from_proto(request.priority) if request.priority else None
        version = await self._version_of(request.model)
        series_ids = list(dict.fromkeys(request.series_ids))
        stage_ids = await self._interventions.start_analysis(
            request.study_id, series_ids, request.model, version, priority
        )
        return pb.StartAnalysisResponse(stage_ids=stage_ids)

    async def ReplayStage(
        self, request: pb.ReplayStageRequest, context: Context
    ) -> pb.ReplayStageResponse:
        """See ``workflow_service.proto``."""
        _check_id(request.stage_id, StageNotFoundError)
        await self._interventions.replay(request.stage_id)
        return pb.ReplayStageResponse(stage=await self._views.stage(request.stage_id))

    async def CancelStudy(
        self, request: pb.CancelStudyRequest, context: Context
    ) -> pb.CancelStudyResponse:
        """See ``workflow_service.proto``."""
        _check_id(request.study_id, StudyNotFoundError)
        stopped = await self._interventions.cancel(request.study_id)
        return pb.CancelStudyResponse(stopped_count=stopped)

    async def SetStudyPriority(
        self, request: pb.SetStudyPriorityRequest, context: Context
    ) -> pb.SetStudyPriorityResponse:
        """See ``workflow_service.proto``."""
        _check_id(request.study_id, StudyNotFoundError)
        priority = priority_from_proto(request.priority)
        await self._interventions.set_priority(request.study_id, priority)
        return pb.SetStudyPriorityResponse()

    async def _version_of(self, model: str) -> str:
        cards = await model_cards(self._analysis)
        if cards is None:
            raise DependencyUnavailableError("analysis")
        for card in cards:
            if card.name == model:
                return card.version
        raise ModelNotFoundError(model[:_LONGEST_MODEL])


def _check_id(candidate: str, error: type[ServiceError]) -> None:
    """Raise an error that names what was asked for, when it cannot be an id of ours."""
    if not is_id(candidate):
        # Nothing of ours has such a name; a stranger's text is not repeated.
        raise error("")

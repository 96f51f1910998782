"""gRPC adapter of de-identification's work and review."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import grpc

from heimdallr.deid.v1 import deidentification_service_pb2 as deid_pb
from heimdallr.deid.v1 import review_service_pb2 as pb
from heimdallr.deid.v1 import review_service_pb2_grpc as pb_grpc
from services.coordinator.deidentification.calls import DeidCalls
from services.coordinator.deidentification.errors import DeidentificationNotFoundError
from services.coordinator.deidentification.objects import ReleaseState
from services.coordinator.deidentification.page_token import (
    object_after,
    object_token,
    series_after,
    series_token,
)
from services.coordinator.deidentification.project import MAX_REASON
from services.coordinator.deidentification.project_messages import (
    checked_rule,
    checked_text,
    profile_of,
)
from services.coordinator.deidentification.project_store import ProjectStore
from services.coordinator.deidentification.release import Releases
from services.coordinator.deidentification.review_messages import (
    decision_from_proto,
    filter_from_proto,
    object_to_proto,
    our_id,
    release_to_proto,
    series_to_proto,
    state_from_proto,
    that_fit,
)
from services.coordinator.deidentification.review_store import ReviewStore
from services.coordinator.deidentification.rule_adding import RuleAdding
from services.coordinator.deidentification.starting import DeidStages
from services.runtime.blob_messages import blob_to_proto
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id
from services.runtime.tokens import current_caller

Context = grpc.aio.ServicerContext[Any, Any]
_MAX_SERIES: Final = 10_000


class DeidReviewService(pb_grpc.DeidReviewServiceServicer):
    """Serves ``heimdallr.deid.v1.DeidReviewService``."""

    def __init__(
        self,
        projects: ProjectStore,
        stages: DeidStages,
        review: ReviewStore,
        releases: Releases,
        rules: RuleAdding,
        calls: DeidCalls,
    ) -> None:
        self._projects = projects
        self._stages = stages
        self._review = review
        self._releases = releases
        self._rules = rules
        self._calls = calls

    async def StartDeidentification(
        self, request: pb.StartDeidentificationRequest, context: Context
    ) -> pb.StartDeidentificationResponse:
        """See ``review_service.proto``."""
        ids = await self._stages.start(*_work(request))
        return pb.StartDeidentificationResponse(stage_ids=ids)

    async def ListDeidentifications(
        self, request: pb.ListDeidentificationsRequest, context: Context
    ) -> pb.ListDeidentificationsResponse:
        """See ``review_service.proto``."""
        size = _page_size(request.page_size, default=50, most=200)
        after = series_after(request.page_token)
        found = await self._review.series_page(filter_from_proto(request), size + 1, after)
        token = series_token(found[size - 1]) if len(found) > size else ""
        return pb.ListDeidentificationsResponse(
            deidentifications=map(series_to_proto, found[:size]), next_page_token=token
        )

    async def GetDeidentification(
        self, request: pb.GetDeidentificationRequest, context: Context
    ) -> pb.GetDeidentificationResponse:
        """See ``review_service.proto``."""
        size = _page_size(request.page_size, default=200, most=1000)
        after = object_after(request.page_token)
        state = state_from_proto(request.state)
        series = await self._review.series(_deidentification_id(request.deidentification_id))
        found = await self._review.objects_page(series.deidentification_id, state, size + 1, after)
        objects = that_fit(found[:size])
        more = len(found) > len(objects)
        return pb.GetDeidentificationResponse(
            deidentification=series_to_proto(series),
            objects=objects,
            next_page_token=object_token(found[len(objects) - 1]) if more else "",
        )

    async def CompareObject(
        self, request: pb.CompareObjectRequest, context: Context
    ) -> pb.CompareObjectResponse:
        """See ``review_service.proto``."""
        return pb.CompareObjectResponse(comparison=await self._comparison(request, reveal=False))

    async def RevealObject(
        self, request: pb.RevealObjectRequest, context: Context
    ) -> pb.RevealObjectResponse:
        """See ``review_service.proto``."""
        return pb.RevealObjectResponse(comparison=await self._comparison(request, reveal=True))

    async def DecideObject(
        self, request: pb.DecideObjectRequest, context: Context
    ) -> pb.DecideObjectResponse:
        """See ``review_service.proto``."""
        decision = decision_from_proto(request.decision)
        reason = checked_text("reason", request.reason, MAX_REASON, shortest=1)
        decided = await self._review.decide(
            *_object_ids(request), decision, current_caller().subject, reason
        )
        return pb.DecideObjectResponse(object=object_to_proto(decided))

    async def AddRule(self, request: pb.AddRuleRequest, context: Context) -> pb.AddRuleResponse:
        """See ``review_service.proto``."""
        rule = checked_rule(request.rule)
        count = await self._rules.add(our_id("project_id", request.project_id), rule)
        return pb.AddRuleResponse(series_count=count)

    async def ListReleased(
        self, request: pb.ListReleasedRequest, context: Context
    ) -> AsyncIterator[pb.ListReleasedResponse]:
        """See ``review_service.proto``."""
        wanted = _work(request)
        release = await self._releases.release(*wanted)
        yield release_to_proto(release)
        held = release.state is ReleaseState.HELD and request.despite_held
        if release.state is not ReleaseState.COMPLETE and not held:
            return
        async with aclosing(self._releases.objects(*wanted)) as batches:
            async for objects in batches:
                yield release_to_proto(release, objects)

    async def _comparison(
        self, request: pb.CompareObjectRequest | pb.RevealObjectRequest, *, reveal: bool
    ) -> deid_pb.CompareInstanceResponse:
        deidentification_id, instance_id = _object_ids(request)
        series = await self._review.series(deidentification_id)
        source = await self._review.source(deidentification_id, instance_id)
        project = await self._projects.project(series.project_id)
        return await self._calls.compare(
            deid_pb.CompareInstanceRequest(
                project_id=project.project_id,
                profile=profile_of(project),
                content=blob_to_proto(source),
                reveal=reveal,
                key_version=series.key_version,
            )
        )


def _work(
    request: pb.StartDeidentificationRequest | pb.ListReleasedRequest,
) -> tuple[str, str, list[str]]:
    """Return project, study and series of a request."""
    if len(request.series_ids) > _MAX_SERIES:
        raise InvalidFieldError("series_ids", f"at most {_MAX_SERIES}")
    return (
        our_id("project_id", request.project_id),
        our_id("study_id", request.study_id),
        [our_id("series_ids", one) for one in request.series_ids],
    )


def _object_ids(
    request: pb.CompareObjectRequest | pb.RevealObjectRequest | pb.DecideObjectRequest,
) -> tuple[str, str]:
    deidentification_id = _deidentification_id(request.deidentification_id)
    if not is_id(request.instance_id):
        raise DeidentificationNotFoundError(deidentification_id)
    return deidentification_id, request.instance_id


def _deidentification_id(text: str) -> str:
    if not is_id(text):
        raise DeidentificationNotFoundError("")
    return text


def _page_size(asked: int, *, default: int, most: int) -> int:
    if not 0 <= asked <= most:
        raise InvalidFieldError("page_size", f"1 to {most}, or 0")
    return asked or default

"""gRPC adapter of retention."""

from __future__ import annotations

from typing import Any, Final

import grpc

from heimdallr.retention.v1 import retention_service_pb2 as pb
from heimdallr.retention.v1 import retention_service_pb2_grpc as pb_grpc
from services.coordinator.retention.deletions import Deletions
from services.coordinator.retention.messages import (
    hold_to_proto,
    keepers_to_proto,
    reach_to_proto,
    record_to_proto,
    rule_from_proto,
    scope_to_proto,
)
from services.coordinator.retention.rule import is_rule_name
from services.coordinator.retention.store import RetentionStore
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id
from services.runtime.tokens import current_caller

Context = grpc.aio.ServicerContext[Any, Any]
_MAX_REASON: Final = 500


class RetentionService(pb_grpc.RetentionServiceServicer):
    """Serves ``heimdallr.retention.v1.RetentionService``."""

    def __init__(self, store: RetentionStore, deletions: Deletions) -> None:
        self._store = store
        self._deletions = deletions

    async def PreviewDeletion(
        self, request: pb.PreviewDeletionRequest, context: Context
    ) -> pb.PreviewDeletionResponse:
        """See ``retention_service.proto``."""
        scope, keepers = await self._deletions.preview(_study_id(request.study_id))
        return pb.PreviewDeletionResponse(
            scope=scope_to_proto(scope), keepers=keepers_to_proto(keepers)
        )

    async def DeleteStudy(
        self, request: pb.DeleteStudyRequest, context: Context
    ) -> pb.DeleteStudyResponse:
        """See ``retention_service.proto``."""
        subject = current_caller().subject
        scope = await self._deletions.delete(_study_id(request.study_id), subject=subject)
        return pb.DeleteStudyResponse(scope=scope_to_proto(scope))

    async def HoldStudy(
        self, request: pb.HoldStudyRequest, context: Context
    ) -> pb.HoldStudyResponse:
        """See ``retention_service.proto``."""
        reason = request.reason.strip()
        if not reason or len(reason) > _MAX_REASON or "\0" in reason:
            raise InvalidFieldError("reason", f"1 to {_MAX_REASON} characters")
        subject = current_caller().subject
        hold = await self._store.hold(_study_id(request.study_id), reason, subject)
        return pb.HoldStudyResponse(hold=hold_to_proto(hold))

    async def ReleaseStudy(
        self, request: pb.ReleaseStudyRequest, context: Context
    ) -> pb.ReleaseStudyResponse:
        """See ``retention_service.proto``."""
        await self._store.release(_study_id(request.study_id))
        return pb.ReleaseStudyResponse()

    async def ListHolds(
        self, request: pb.ListHoldsRequest, context: Context
    ) -> pb.ListHoldsResponse:
        """See ``retention_service.proto``."""
        return pb.ListHoldsResponse(holds=[hold_to_proto(h) for h in await self._store.holds()])

    async def ListRules(
        self, request: pb.ListRulesRequest, context: Context
    ) -> pb.ListRulesResponse:
        """See ``retention_service.proto``."""
        return pb.ListRulesResponse(rules=[record_to_proto(r) for r in await self._store.rules()])

    async def SetRule(self, request: pb.SetRuleRequest, context: Context) -> pb.SetRuleResponse:
        """See ``retention_service.proto``."""
        record = await self._store.set_rule(rule_from_proto(request.rule))
        return pb.SetRuleResponse(rule=record_to_proto(record))

    async def DeleteRule(
        self, request: pb.DeleteRuleRequest, context: Context
    ) -> pb.DeleteRuleResponse:
        """See ``retention_service.proto``."""
        if is_rule_name(request.name):
            await self._store.delete_rule(request.name)
        return pb.DeleteRuleResponse()

    async def PreviewRule(
        self, request: pb.PreviewRuleRequest, context: Context
    ) -> pb.PreviewRuleResponse:
        """See ``retention_service.proto``."""
        return reach_to_proto(await self._store.reach(rule_from_proto(request.rule)))


def _study_id(text: str) -> str:
    if not is_id(text):
        raise InvalidFieldError("study_id", "one of our ids")
    return text

"""Modality Worklist C-FIND as provider (PS3.4 Annex K)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType
from typing import Final

from gateway.dimse.callers import Registry, refusal
from gateway.dimse.commands import C_FIND_RQ, Reply, Status
from gateway.dimse.service import Request, Responder
from gateway.procedure_steps.tree import decode, encode
from gateway.procedure_steps.worklist_answer import answer, chosen
from gateway.procedure_steps.worklist_keys import WorklistQuery, read_worklist_query
from gateway.query_retrieve.find import attribute_match
from gateway.query_retrieve.finding import answer_query, send_matches
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from heimdallr.worklist.v1 import worklist_service_pb2_grpc as pb_grpc
from services.dicom.walk import Limits
from services.runtime.client import typed_errors

MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"
_WORKLIST_AWAY: Final = Status(0xA700, "the worklist cannot be asked")
_LIMITS: Final = Limits(max_elements=2_000, max_item_elements=512, max_depth=8)


class WorklistFindService:
    """Answers what is to be done.

    Args:
        worklist: The worklist's service.
        registry: Tells who may be answered.
    """

    operations: Mapping[str, frozenset[int]] = MappingProxyType(
        {MODALITY_WORKLIST: frozenset({C_FIND_RQ})}
    )
    options: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, worklist: pb_grpc.WorklistServiceAsyncStub, registry: Registry) -> None:
        self._worklist = worklist
        self._registry = registry

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        refused = await refusal(self._registry, request.source)
        if refused is not None:
            return Reply(refused)
        return await answer_query(
            lambda: _read(request),
            lambda query: self._answer(query, request, responder),
            _WORKLIST_AWAY,
        )

    async def _answer(self, query: WorklistQuery, request: Request, responder: Responder) -> Reply:
        matches = [attribute_match(key, asked) for key, asked in query.conditions.items()]
        syntax = request.context.transfer_syntax
        return await send_matches(
            self._steps(pb.QueryWorklistRequest(matches=matches)),
            lambda step: encode(chosen(answer(step), query.wanted), syntax),
            responder,
            is_whole=query.is_whole,
        )

    async def _steps(
        self, asked: pb.QueryWorklistRequest
    ) -> AsyncGenerator[step_pb.ScheduledStep, None]:
        call = self._worklist.QueryWorklist(asked)
        try:
            with typed_errors():
                async for batch in call:
                    for step in batch.steps:
                        yield step
        finally:
            # Otherwise the worklist goes on reading for a peer that is gone.
            call.cancel()


def _read(request: Request) -> WorklistQuery:
    found = decode(request.data_set, request.context.transfer_syntax, _LIMITS)
    return read_worklist_query(found)

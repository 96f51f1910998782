"""Modality Worklist C-FIND as provider (PS3.4 Annex K)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Final

from gateway.dimse.callers import Registry, refusal
from gateway.dimse.commands import C_FIND_RQ, SUCCESS, Reply, Status
from gateway.dimse.service import Request, Responder
from gateway.procedure_steps.tree import decode, encode
from gateway.procedure_steps.worklist_answer import answer, chosen
from gateway.procedure_steps.worklist_keys import WorklistQuery, read_worklist_query
from gateway.query_retrieve.find import CANCELLED, PENDING, PENDING_IN_PART, attribute_match
from gateway.query_retrieve.query import IdentifierError
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from heimdallr.worklist.v1 import worklist_service_pb2_grpc as pb_grpc
from services.dicom.errors import DicomError
from services.dicom.walk import Limits
from services.runtime.client import ServiceCallError, typed_errors

MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"
_WORKLIST_AWAY: Final = Status(0xA700, "the worklist cannot be asked")
_DOES_NOT_MATCH: Final = 0xA900
_UNABLE_TO_PROCESS: Final = 0xC000
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
        try:
            found = decode(request.data_set, request.context.transfer_syntax, _LIMITS)
            query = read_worklist_query(found)
        except DicomError as error:
            return Reply(Status(_DOES_NOT_MATCH, f"{error.field}: {error.rule}"))
        except IdentifierError as error:
            return Reply(Status(_DOES_NOT_MATCH, error.rule))
        try:
            return await self._answer(query, request, responder)
        except ServiceCallError as error:
            if error.retryable:
                return Reply(_WORKLIST_AWAY)
            return Reply(Status(_UNABLE_TO_PROCESS, error.metadata.get("rule", "")))

    async def _answer(self, query: WorklistQuery, request: Request, responder: Responder) -> Reply:
        status = PENDING if query.is_whole else PENDING_IN_PART
        matches = [attribute_match(key, asked) for key, asked in query.conditions.items()]
        async with aclosing(self._steps(pb.QueryWorklistRequest(matches=matches))) as steps:
            async for step in steps:
                if responder.is_cancelled:
                    return Reply(CANCELLED)
                values = chosen(answer(step), query.wanted)
                data_set = encode(values, request.context.transfer_syntax)
                await responder.pending(Reply(status, data_set))
        return Reply(CANCELLED if responder.is_cancelled else SUCCESS)

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

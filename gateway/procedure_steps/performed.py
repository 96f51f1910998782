"""Modality Performed Procedure Step as provider: N-CREATE and N-SET (PS3.4 section F.7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.dimse.callers import REGISTRY_AWAY, Registry, refusal
from gateway.dimse.commands import N_CREATE_RQ, N_SET_RQ, SUCCESS, Reply, Status
from gateway.dimse.service import Request, Responder
from gateway.procedure_steps.performed_attributes import (
    INVALID_VALUE,
    StepError,
    change,
    step_that_begins,
)
from gateway.procedure_steps.tree import decode
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from heimdallr.worklist.v1 import worklist_service_pb2_grpc as pb_grpc
from services.dicom.errors import DicomError
from services.dicom.json import JsonObject
from services.dicom.uids import new_uid, valid_uid
from services.dicom.walk import Limits
from services.runtime.client import ServiceCallError, typed_errors

PERFORMED_STEP: Final = "1.2.840.10008.3.1.2.3.3"
ERROR_ID: Final = 0x0903
"""Error ID (0000,0903) of a failure to process (PS3.7 section C.4)."""
_NO_LONGER_UPDATED: Final = 0xA710
_PROCESSING_FAILURE: Final = 0x0110
_DUPLICATE: Final = Status(0x0111, "a step of that UID exists")
_NO_SUCH_INSTANCE: Final = Status(0x0112, "no step of that UID")
_INVALID_INSTANCE: Final = Status(0x0117, "not a UID")
_AWAY: Final = Status(_PROCESSING_FAILURE, "the worklist cannot be told")
_FINAL: Final = Reply(
    Status(_PROCESSING_FAILURE, "the step may no longer be updated"),
    numbers=MappingProxyType({ERROR_ID: _NO_LONGER_UPDATED}),
)
_NOT_FOUND: Final = ErrorReason.Name(ErrorReason.ERROR_REASON_PROCEDURE_STEP_NOT_FOUND)
_STATE: Final = ErrorReason.Name(ErrorReason.ERROR_REASON_PROCEDURE_STEP_STATE)
# A step may name 20,000 instances, three elements each.
_LIMITS: Final = Limits(max_elements=100_000, max_item_elements=2_000, max_depth=8)


class PerformedStepService:
    """Records what modalities say they did.

    Args:
        worklist: The worklist's service.
        registry: Tells who is listened to: what a stranger says is no evidence.
    """

    operations: Mapping[str, frozenset[int]] = MappingProxyType(
        {PERFORMED_STEP: frozenset({N_CREATE_RQ, N_SET_RQ})}
    )
    options: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, worklist: pb_grpc.WorklistServiceAsyncStub, registry: Registry) -> None:
        self._worklist = worklist
        self._registry = registry
        # One large step at a time: that is what bounds the memory.
        self._decoding = asyncio.Semaphore(1)

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        refused = await refusal(self._registry, request.source)
        if refused is not None:
            return Reply(_AWAY if refused is REGISTRY_AWAY else refused)
        uid = request.command.sop_instance_uid
        creates = request.command.field == N_CREATE_RQ
        if not (valid_uid(uid) or (creates and not uid)):
            return Reply(_INVALID_INSTANCE)
        try:
            found = await self._decoded(request)
            with typed_errors():
                return await (self._create(uid, found) if creates else self._set(uid, found))
        except DicomError as error:
            return Reply(Status(_PROCESSING_FAILURE, f"{error.field}: {error.rule}"))
        except StepError as error:
            return Reply(Status(error.status, error.keyword))
        except ServiceCallError as error:
            return _refused(error)

    async def _create(self, uid: str, found: JsonObject) -> Reply:
        # A peer may leave the UID to us (PS3.7 section 10.1.5.1.4).
        step = step_that_begins(uid or new_uid(), found)
        await self._worklist.CreatePerformedStep(pb.CreatePerformedStepRequest(step=step))
        return Reply(SUCCESS, sop_instance_uid=step.sop_instance_uid)

    async def _set(self, uid: str, found: JsonObject) -> Reply:
        await self._worklist.UpdatePerformedStep(change(uid, found))
        return Reply(SUCCESS)

    async def _decoded(self, request: Request) -> JsonObject:
        syntax = request.context.transfer_syntax
        async with self._decoding:
            return await asyncio.to_thread(decode, request.data_set, syntax, _LIMITS)


def _refused(error: ServiceCallError) -> Reply:
    if error.reason == _NOT_FOUND:
        return Reply(_NO_SUCH_INSTANCE)
    if error.reason == _STATE:
        return Reply(_DUPLICATE) if error.metadata.get("state") == "exists" else _FINAL
    if error.retryable:
        return Reply(_AWAY)
    return Reply(Status(INVALID_VALUE, error.metadata.get("field", "")))

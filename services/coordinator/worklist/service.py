"""gRPC adapter: translates messages, decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from heimdallr.worklist.v1 import worklist_service_pb2_grpc as pb_grpc
from services.coordinator.worklist import checks
from services.coordinator.worklist.errors import ProcedureStepNotFoundError
from services.coordinator.worklist.importing import Imported, Importer
from services.coordinator.worklist.matching import Match, list_statement, query_statement
from services.coordinator.worklist.messages import (
    filter_from_proto,
    spec_from_proto,
    step_to_proto,
)
from services.coordinator.worklist.page_token import (
    performed_key,
    performed_token,
    step_key,
    step_token,
)
from services.coordinator.worklist.performed_messages import (
    change_from_proto,
    record_to_proto,
    state_from_proto,
    step_from_proto,
)
from services.coordinator.worklist.performed_store import PerformedStore
from services.coordinator.worklist.scheduled_step import StepKey
from services.coordinator.worklist.store import WorklistStore
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

_BATCH: Final = 200
_PAGE: Final = 50
_LARGEST_PAGE: Final = 500
_LARGEST_PERFORMED_PAGE: Final = 100
_MOST_MATCHES: Final = 32
_MOST_VALUES: Final = 1000

Context = grpc.aio.ServicerContext[Any, Any]


class WorklistService(pb_grpc.WorklistServiceServicer):
    """Serves ``heimdallr.worklist.v1.WorklistService``.

    Args:
        store: Scheduled steps.
        importer: Schedules files.
        performed: Performed steps.
    """

    def __init__(self, store: WorklistStore, importer: Importer, performed: PerformedStore) -> None:
        self._store = store
        self._importer = importer
        self._performed = performed

    async def CreateScheduledStep(
        self, request: pb.CreateScheduledStepRequest, context: Context
    ) -> pb.CreateScheduledStepResponse:
        """See ``worklist_service.proto``."""
        step = await self._store.schedule(spec_from_proto(request.spec))
        return pb.CreateScheduledStepResponse(step=step_to_proto(step))

    async def UpdateScheduledStep(
        self, request: pb.UpdateScheduledStepRequest, context: Context
    ) -> pb.UpdateScheduledStepResponse:
        """See ``worklist_service.proto``."""
        step_id = _known(request.scheduled_step_id)
        step = await self._store.replace(step_id, spec_from_proto(request.spec))
        return pb.UpdateScheduledStepResponse(step=step_to_proto(step))

    async def CancelScheduledStep(
        self, request: pb.CancelScheduledStepRequest, context: Context
    ) -> pb.CancelScheduledStepResponse:
        """See ``worklist_service.proto``."""
        step = await self._store.cancel(_known(request.scheduled_step_id))
        return pb.CancelScheduledStepResponse(step=step_to_proto(step))

    async def DeleteScheduledStep(
        self, request: pb.DeleteScheduledStepRequest, context: Context
    ) -> pb.DeleteScheduledStepResponse:
        """See ``worklist_service.proto``."""
        if is_id(request.scheduled_step_id):
            await self._store.delete(request.scheduled_step_id)
        return pb.DeleteScheduledStepResponse()

    async def ListScheduledSteps(
        self, request: pb.ListScheduledStepsRequest, context: Context
    ) -> pb.ListScheduledStepsResponse:
        """See ``worklist_service.proto``."""
        size = _size(request.page_size, _LARGEST_PAGE)
        wanted = filter_from_proto(request)
        after = step_key(request.page_token)
        found = await self._store.find(list_statement(wanted, size + 1, after))
        more = len(found) > size
        return pb.ListScheduledStepsResponse(
            steps=[step_to_proto(step) for step in found[:size]],
            next_page_token=step_token(StepKey.of(found[size - 1])) if more else "",
        )

    async def ImportScheduledSteps(
        self, request: pb.ImportScheduledStepsRequest, context: Context
    ) -> pb.ImportScheduledStepsResponse:
        """See ``worklist_service.proto``."""
        rows = await self._importer.run(request.csv, all_or_nothing=request.all_or_nothing)
        return pb.ImportScheduledStepsResponse(rows=[_imported_to_proto(row) for row in rows])

    async def QueryWorklist(
        self, request: pb.QueryWorklistRequest, context: Context
    ) -> AsyncIterator[pb.QueryWorklistResponse]:
        """See ``worklist_service.proto``."""
        if len(request.matches) > _MOST_MATCHES:
            raise InvalidFieldError("matches", f"at most {_MOST_MATCHES}")
        if request.limit < 0:
            raise InvalidFieldError("limit", "not negative")
        matches = [_match(one) for one in request.matches]
        after: StepKey | None = None
        left = request.limit or None
        while left is None or left > 0:
            count = _BATCH if left is None else min(left, _BATCH)
            found = await self._store.find(query_statement(matches, count, after))
            if found:
                yield pb.QueryWorklistResponse(steps=[step_to_proto(step) for step in found])
            if len(found) < count:
                return
            after = StepKey.of(found[-1])
            left = None if left is None else left - count

    async def CreatePerformedStep(
        self, request: pb.CreatePerformedStepRequest, context: Context
    ) -> pb.CreatePerformedStepResponse:
        """See ``worklist_service.proto``."""
        await self._performed.create(step_from_proto(request.step))
        return pb.CreatePerformedStepResponse()

    async def UpdatePerformedStep(
        self, request: pb.UpdatePerformedStepRequest, context: Context
    ) -> pb.UpdatePerformedStepResponse:
        """See ``worklist_service.proto``."""
        uid = checks.uid("sop_instance_uid", request.sop_instance_uid, needed=True)
        await self._performed.update(uid, change_from_proto(request))
        return pb.UpdatePerformedStepResponse()

    async def ListPerformedSteps(
        self, request: pb.ListPerformedStepsRequest, context: Context
    ) -> pb.ListPerformedStepsResponse:
        """See ``worklist_service.proto``."""
        size = _size(request.page_size, _LARGEST_PERFORMED_PAGE)
        found = await self._performed.page(
            size + 1,
            state_from_proto(request.state),
            checks.uid("study_instance_uid", request.study_instance_uid),
            checks.uid("sop_instance_uid", request.sop_instance_uid),
            performed_key(request.page_token),
        )
        more = len(found) > size
        return pb.ListPerformedStepsResponse(
            steps=[record_to_proto(record) for record in found[:size]],
            next_page_token=performed_token(found[size - 1]) if more else "",
        )


def _known(step_id: str) -> str:
    if not is_id(step_id):
        raise ProcedureStepNotFoundError
    return step_id


def _size(size: int, largest: int) -> int:
    if not 0 <= size <= largest:
        raise InvalidFieldError("page_size", f"1 to {largest}")
    return size or _PAGE


def _match(message: archive_pb.AttributeMatch) -> Match:
    kind = message.WhichOneof("condition")
    if kind == "values" and 1 <= len(message.values.values) <= _MOST_VALUES:
        return Match(message.keyword, values=tuple(map(_plain, message.values.values)))
    if kind == "wildcard":
        return Match(message.keyword, wildcard=_plain(message.wildcard))
    if kind == "range":
        span = message.range
        low, high = getattr(span, "from"), span.to
        return Match(message.keyword, low=_plain(low), high=_plain(high))
    raise InvalidFieldError("matches.condition", f"1 to {_MOST_VALUES} values, wildcard or range")


def _plain(value: str) -> str:
    if "\0" in value:
        raise InvalidFieldError("matches", "no NUL characters")
    return value


def _imported_to_proto(row: Imported) -> pb.ImportedRow:
    return pb.ImportedRow(
        line=row.line,
        outcome=pb.ImportOutcome.Value(f"IMPORT_OUTCOME_{row.outcome.name}"),
        scheduled_step_id=row.scheduled_step_id,
        field=row.field,
        rule=row.rule,
    )

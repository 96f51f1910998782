"""gRPC adapter of the audit trail."""

from __future__ import annotations

from typing import Any, Final

import grpc

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.audit.v1 import audit_service_pb2 as pb
from heimdallr.audit.v1 import audit_service_pb2_grpc as pb_grpc
from services.coordinator.audit.errors import UnknownEntryError
from services.coordinator.audit.messages import call_to_proto, checked_entry, checked_outcome
from services.coordinator.audit.store import CallFilter, PostgresAuditTrail
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id
from services.runtime.tokens import current_caller

Context = grpc.aio.ServicerContext[Any, Any]

_MAX_PAGE: Final = 1_000
_DEFAULT_PAGE: Final = 100


class AuditService(pb_grpc.AuditServiceServicer):
    """Serves ``heimdallr.audit.v1.AuditService``."""

    def __init__(self, store: PostgresAuditTrail) -> None:
        self._store = store

    async def BeginCall(
        self, request: pb.BeginCallRequest, context: Context
    ) -> pb.BeginCallResponse:
        """See ``audit_service.proto``. A service writes of itself alone."""
        entry = checked_entry(request.entry)
        if entry.service != current_caller().subject:
            raise InvalidFieldError("entry.service", "the caller's own name")
        if request.HasField("outcome"):
            await self._store.deny(entry, checked_outcome(request.outcome))
        else:
            await self._store.begin(entry)
        return pb.BeginCallResponse()

    async def EndCall(self, request: pb.EndCallRequest, context: Context) -> pb.EndCallResponse:
        """See ``audit_service.proto``."""
        if not is_id(request.entry_id):
            raise InvalidFieldError("entry_id", "one of our ids")
        try:
            await self._store.end(request.entry_id, checked_outcome(request.outcome))
        except UnknownEntryError:
            raise InvalidFieldError("entry_id", "an entry that was begun") from None
        return pb.EndCallResponse()

    async def ListEntries(
        self, request: pb.ListEntriesRequest, context: Context
    ) -> pb.ListEntriesResponse:
        """See ``audit_service.proto``."""
        size = request.page_size or _DEFAULT_PAGE
        if not 1 <= size <= _MAX_PAGE:
            raise InvalidFieldError("page_size", f"0 to {_MAX_PAGE}")
        if request.page_token and not is_id(request.page_token):
            raise InvalidFieldError("page_token", "as given with the previous page")
        calls = await self._store.list_calls(_filter(request), request.page_token or None, size + 1)
        page = calls[:size]
        return pb.ListEntriesResponse(
            calls=map(call_to_proto, page),
            next_page_token=page[-1].entry.entry_id if len(calls) > size else "",
        )


def _filter(request: pb.ListEntriesRequest) -> CallFilter:
    if request.object_id and not is_id(request.object_id):
        raise InvalidFieldError("object_id", "one of our ids")
    if request.action not in AuditAction.values():
        raise InvalidFieldError("action", "a known action")
    if "\0" in request.subject:
        raise InvalidFieldError("subject", "a name or an id")
    return CallFilter(
        subject=request.subject or None,
        action=request.action or None,
        object_id=request.object_id or None,
    )

"""What the audit trail keeps of a call, and the port to where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.correlation import correlation_id
from services.runtime.errors import ServiceError
from services.runtime.ids import is_id, new_id


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One audited call, as ``heimdallr.audit.v1.Entry`` says."""

    entry_id: str
    begin_time: datetime
    subject: str
    method: str
    action: AuditAction.ValueType
    service: str
    correlation_id: str
    object_id: str


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """How a call ended, as ``heimdallr.audit.v1.Outcome`` says."""

    end_time: datetime
    code: str
    reason: str


class AuditTrail(Protocol):
    """Where audited calls are kept. Rows are only ever added."""

    async def begin(self, entry: AuditEntry) -> None:
        """Keep the entry of a call that is about to run; durable on return."""
        ...

    async def deny(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        """Keep a call that was denied."""
        ...

    async def end(self, entry_id: str, outcome: AuditOutcome) -> None:
        """Keep how a call ended; the first outcome of an entry stays."""
        ...


class CallRecorder:
    """Fills in entries and outcomes for one service's calls."""

    def __init__(self, trail: AuditTrail, service: str) -> None:
        self._trail = trail
        self._service = service

    async def begin(
        self, method: str, action: AuditAction.ValueType, subject: str, request: Message | None
    ) -> str:
        """Record a call that is about to run and return the id of its entry."""
        entry = self._entry(method, action, subject, request)
        await self._trail.begin(entry)
        return entry.entry_id

    async def deny(
        self,
        method: str,
        action: AuditAction.ValueType,
        subject: str,
        request: Message | None,
        error: ServiceError,
    ) -> None:
        """Record a call that was denied."""
        reason = ErrorReason.Name(error.reason)
        outcome = AuditOutcome(datetime.now(UTC), error.code.name, reason)
        await self._trail.deny(self._entry(method, action, subject, request), outcome)

    async def end(self, entry_id: str, code: str, reason: str) -> None:
        """Record how a call ended."""
        await self._trail.end(entry_id, AuditOutcome(datetime.now(UTC), code, reason))

    def _entry(
        self, method: str, action: AuditAction.ValueType, subject: str, request: Message | None
    ) -> AuditEntry:
        return AuditEntry(
            entry_id=new_id(),
            begin_time=datetime.now(UTC),
            subject=subject,
            method=method,
            action=action,
            service=self._service,
            correlation_id=correlation_id(),
            object_id=object_id(request),
        )


def object_id(request: Message | None) -> str:
    """Return the first of our ids that a request names; DICOM UIDs are never taken."""
    if request is None:
        return ""
    for field in request.DESCRIPTOR.fields:
        if field.type != FieldDescriptor.TYPE_STRING or not field.name.endswith(("_id", "_key")):
            continue
        value = getattr(request, field.name)
        if isinstance(value, str) and is_id(value):
            return value
    return ""

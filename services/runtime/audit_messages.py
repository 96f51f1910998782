"""The audit trail's rows as messages."""

from __future__ import annotations

from datetime import UTC

from heimdallr.audit.v1 import audit_service_pb2 as pb
from services.runtime.audit import AuditEntry, AuditOutcome


def entry_to_proto(entry: AuditEntry) -> pb.Entry:
    """Return an entry as it goes on the wire."""
    message = pb.Entry(
        entry_id=entry.entry_id,
        subject=entry.subject,
        method=entry.method,
        action=entry.action,
        service=entry.service,
        correlation_id=entry.correlation_id,
        object_id=entry.object_id,
    )
    message.begin_time.FromDatetime(entry.begin_time)
    return message


def entry_from_proto(message: pb.Entry) -> AuditEntry:
    """Return an entry as it came from the wire; its fields are not checked here."""
    return AuditEntry(
        entry_id=message.entry_id,
        begin_time=message.begin_time.ToDatetime(UTC),
        subject=message.subject,
        method=message.method,
        action=message.action,
        service=message.service,
        correlation_id=message.correlation_id,
        object_id=message.object_id,
    )


def outcome_to_proto(outcome: AuditOutcome) -> pb.Outcome:
    """Return an outcome as it goes on the wire."""
    message = pb.Outcome(code=outcome.code, reason=outcome.reason)
    message.end_time.FromDatetime(outcome.end_time)
    return message


def outcome_from_proto(message: pb.Outcome) -> AuditOutcome:
    """Return an outcome as it came from the wire; its fields are not checked here."""
    return AuditOutcome(message.end_time.ToDatetime(UTC), message.code, message.reason)

"""The audit trail's entry of an association: who brought instances, and that it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Protocol

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.coordinator.intake.envelope import Departure
from services.runtime.audit import AuditEntry, AuditOutcome, AuditTrail

METHOD: Final = "/heimdallr.intake.v1.IntakeService/Ingest"


class AssociationAudit(Protocol):
    """Where ends of associations are recorded."""

    async def record_association(self, departure: Departure) -> None:
        """Record the end of an association; the same one again changes nothing."""
        ...


class TrailAssociationAudit:
    """Records ends of associations in an audit trail."""

    def __init__(self, trail: AuditTrail, service: str) -> None:
        self._trail = trail
        self._service = service

    async def record_association(self, departure: Departure) -> None:
        """See ``AssociationAudit``. The entry's id is the association's, so it is written once."""
        association_id = departure.source.association_id
        now = datetime.now(UTC)
        entry = AuditEntry(
            entry_id=association_id,
            begin_time=now,
            subject=departure.subject,
            method=METHOD,
            action=AuditAction.AUDIT_ACTION_INGEST,
            service=self._service,
            correlation_id=departure.correlation_id,
            object_id=association_id,
        )
        await self._trail.begin(entry)
        code = "OK" if departure.released else "ABORTED"
        await self._trail.end(association_id, AuditOutcome(now, code, ""))

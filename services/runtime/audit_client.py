"""The audit trail as services other than the coordinator reach it."""

from __future__ import annotations

import grpc

from heimdallr.audit.v1 import audit_service_pb2 as pb
from heimdallr.audit.v1 import audit_service_pb2_grpc as pb_grpc
from services.runtime.audit import AuditEntry, AuditOutcome
from services.runtime.audit_messages import entry_to_proto, outcome_to_proto
from services.runtime.client import typed_errors


class RemoteAuditTrail:
    """Writes through ``heimdallr.audit.v1.AuditService``.

    Args:
        channel: Channel of the mesh, with this service's own token.
        timeout_s: Longest time one record may take; a call is refused after that.
    """

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float = 5.0) -> None:
        self._stub = pb_grpc.AuditServiceStub(channel)
        self._timeout_s = timeout_s

    async def begin(self, entry: AuditEntry) -> None:
        """Keep the entry of a call that is about to run."""
        request = pb.BeginCallRequest(entry=entry_to_proto(entry))
        with typed_errors():
            await self._stub.BeginCall(request, timeout=self._timeout_s)

    async def deny(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        """Keep a call that was denied."""
        request = pb.BeginCallRequest(
            entry=entry_to_proto(entry), outcome=outcome_to_proto(outcome)
        )
        with typed_errors():
            await self._stub.BeginCall(request, timeout=self._timeout_s)

    async def end(self, entry_id: str, outcome: AuditOutcome) -> None:
        """Keep how a call ended."""
        request = pb.EndCallRequest(entry_id=entry_id, outcome=outcome_to_proto(outcome))
        with typed_errors():
            await self._stub.EndCall(request, timeout=self._timeout_s)

"""What peers ask is kept in the audit trail, with who asked (PS3.15 section A.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import grpc

from gateway.dimse.commands import SUCCESS, Reply, Status
from gateway.dimse.denials import method_of, subject_of
from gateway.dimse.recorder import command_name
from gateway.dimse.service import Provider, Request, Responder
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime import logs
from services.runtime.client import ServiceCallError

NOT_AUDITED: Final = "service.end_unaudited"
AUDIT_AWAY: Final = Status(0xA700, "the audit trail cannot be written")
_PROCESSING_FAILURE: Final = Status(0x0110, AUDIT_AWAY.comment)
_NORMALIZED: Final = 0x0100
_NOT_AUTHORIZED: Final = 0x0124
_GOOD: Final = frozenset({SUCCESS.code, 0xFE00, 0xB000})
_BAD: Final = frozenset({0xA900, 0xA801, 0x0115, 0x0117, 0x0112})


class Recorder(Protocol):
    """Writes the audit trail."""

    async def begin(
        self, method: str, action: AuditAction.ValueType, subject: str, request: None
    ) -> str:
        """Record a call that is about to run and return the id of its entry."""
        ...

    async def end(self, entry_id: str, code: str, reason: str) -> None:
        """Record how a call ended."""
        ...


class AuditedProvider:
    """A ``Provider`` whose requests are kept before they are served; unkept, they are refused.

    Args:
        provider: Serves them.
        recorder: Writes the audit trail.
        action: What they do.
    """

    def __init__(
        self, provider: Provider, recorder: Recorder, action: AuditAction.ValueType
    ) -> None:
        self._provider = provider
        self._recorder = recorder
        self._action = action

    @property
    def operations(self) -> Mapping[str, frozenset[int]]:
        """See ``Provider``."""
        return self._provider.operations

    @property
    def options(self) -> Mapping[str, bytes]:
        """See ``Provider``."""
        return self._provider.options

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        command_field = request.command.field
        method = method_of(command_name(command_field).replace("-", "_"))
        subject = subject_of(request.source.calling_ae_title)
        try:
            entry_id = await self._recorder.begin(method, self._action, subject, None)
        except ServiceCallError:
            return Reply(_PROCESSING_FAILURE if command_field >= _NORMALIZED else AUDIT_AWAY)
        code = grpc.StatusCode.CANCELLED.name
        try:
            reply = await self._provider.serve(request, responder)
            code = _code(reply.status.code)
        finally:
            await self._end(entry_id, code)
        return reply

    async def _end(self, entry_id: str, code: str) -> None:
        denied = code == grpc.StatusCode.PERMISSION_DENIED.name
        reason = ErrorReason.Name(ErrorReason.ERROR_REASON_PEER_OUTSIDE) if denied else ""
        try:
            await self._recorder.end(entry_id, code, reason)
        except ServiceCallError as error:
            logs.get_logger().error(NOT_AUDITED, entry_id=entry_id, **logs.failure(error))


def _code(status: int) -> str:
    if status in _GOOD:
        return grpc.StatusCode.OK.name
    if status == _NOT_AUTHORIZED:
        return grpc.StatusCode.PERMISSION_DENIED.name
    if status in _BAD:
        return grpc.StatusCode.INVALID_ARGUMENT.name
    return grpc.StatusCode.UNAVAILABLE.name if status >> 8 == 0xA7 else grpc.StatusCode.UNKNOWN.name

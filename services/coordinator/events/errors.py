"""Errors of the event log."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class CursorExpiredError(ServiceError):
    """The cursor lies before the oldest event that is kept.

    Args:
        oldest_cursor: Cursor of the oldest event kept.
    """

    code = grpc.StatusCode.OUT_OF_RANGE
    reason = ErrorReason.ERROR_REASON_CURSOR_EXPIRED

    def __init__(self, oldest_cursor: int) -> None:
        super().__init__("the cursor has expired", oldest_cursor=str(oldest_cursor))

"""What can go wrong with the registry of sources."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class SourceExistsError(ServiceError):
    """A source of that name exists."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = ErrorReason.ERROR_REASON_SOURCE_EXISTS

    def __init__(self) -> None:
        super().__init__("another source has this name")


class TurnLostError(ServiceError):
    """Another gateway has the turn now, or the source is gone."""

    code = grpc.StatusCode.ABORTED
    reason = ErrorReason.ERROR_REASON_TURN_LOST

    def __init__(self, source_id: str) -> None:
        super().__init__("the turn has passed to another", source_id=source_id)

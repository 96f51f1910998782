"""Errors of the workflow."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class StageNotFoundError(ServiceError):
    """The stage is unknown."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_STAGE_NOT_FOUND

    def __init__(self, stage_id: str) -> None:
        super().__init__("stage not found", stage_id=stage_id)


class StageStateError(ServiceError):
    """The stage is in a state that does not allow the change."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_STAGE_STATE

    def __init__(self, stage_id: str, state: str) -> None:
        super().__init__(f"the stage is {state}", stage_id=stage_id, state=state)


class AttemptFencedError(ServiceError):
    """A later attempt has taken over; this one's result is not accepted."""

    code = grpc.StatusCode.ABORTED
    reason = ErrorReason.ERROR_REASON_ATTEMPT_FENCED

    def __init__(self, attempt_id: str) -> None:
        super().__init__("another attempt has taken over", attempt_id=attempt_id)

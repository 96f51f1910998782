"""Errors of the crosswalk."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class ReidentificationNotFoundError(ServiceError):
    """No such request, not the caller's own, or a pseudonym that nobody has."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_REIDENTIFICATION_NOT_FOUND

    def __init__(self, reidentification_id: str = "") -> None:
        super().__init__(
            "no such re-identification request or pseudonym",
            reidentification_id=reidentification_id,
        )


class ReidentificationStateError(ServiceError):
    """The request is in another state, or another person must agree.

    Args:
        reidentification_id: The request.
        rule: What it is that does not allow it, in a sentence.
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_REIDENTIFICATION_STATE

    def __init__(self, reidentification_id: str, rule: str) -> None:
        super().__init__(rule, reidentification_id=reidentification_id, rule=rule)

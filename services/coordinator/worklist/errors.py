"""Errors of the worklist."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class ProcedureStepNotFoundError(ServiceError):
    """The scheduled or performed procedure step is unknown."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_PROCEDURE_STEP_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("procedure step not found")


class ProcedureStepStateError(ServiceError):
    """The procedure step is in a state that does not allow the change, or its id is taken.

    Args:
        state: The state, e.g. "completed"; "exists" when one of that id is there.
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_PROCEDURE_STEP_STATE

    def __init__(self, state: str) -> None:
        text = "a step of that id exists" if state == "exists" else f"the step is {state}"
        super().__init__(text, state=state)

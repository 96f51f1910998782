"""Errors of the analysis service."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class ModelUnavailableError(ServiceError):
    """The model server cannot be reached or the model cannot run now; try again later."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_MODEL_UNAVAILABLE

    def __init__(self, model: str, why: str) -> None:
        super().__init__(f"{model} is not available now: {why}", model=model)


class ModelOutputInvalidError(ServiceError):
    """The model answered with something its card does not allow."""

    code = grpc.StatusCode.INTERNAL
    reason = ErrorReason.ERROR_REASON_MODEL_OUTPUT_INVALID

    def __init__(self, model: str, rule: str) -> None:
        super().__init__(f"{model} broke its contract: {rule}", model=model, rule=rule)


class ModelRefusedError(Exception):
    """The model does not take this input; the text is the rule it names."""

"""Errors of reporting that may cross its boundary."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class ReportFailedError(ServiceError):
    """The report could not be rendered.

    Args:
        rule: What went wrong, e.g. "RENDERING"; never what the renderer wrote.
    """

    code = grpc.StatusCode.INTERNAL
    reason = ErrorReason.ERROR_REASON_REPORT_FAILED

    def __init__(self, rule: str) -> None:
        super().__init__(f"the report could not be made: {rule}", rule=rule)

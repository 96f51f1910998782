"""Errors of retention."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class StudyKeptError(ServiceError):
    """Something keeps the study from being deleted now.

    Args:
        rule: What does, e.g. "hold", "receiving", "work".
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_STUDY_KEPT

    def __init__(self, rule: str) -> None:
        super().__init__(f"the study is kept: {_SENTENCES.get(rule, rule)}", rule=rule)


_SENTENCES = {
    "hold": "somebody holds it",
    "receiving": "instances are arriving",
    "work": "work on it waits or runs, cancel it first",
}

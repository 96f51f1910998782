"""Errors of de-identification."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class ProjectNotFoundError(ServiceError):
    """No such project."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_DEID_PROJECT_NOT_FOUND

    def __init__(self, project_id: str) -> None:
        super().__init__("no such de-identification project", project_id=project_id)


class ProjectExistsError(ServiceError):
    """A project of that name exists."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = ErrorReason.ERROR_REASON_DEID_PROJECT_EXISTS

    def __init__(self, name: str) -> None:
        super().__init__("a de-identification project of that name exists", name=name)


class DeidentificationNotFoundError(ServiceError):
    """No such de-identification, no such object of it, or nothing of it to decide."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_DEIDENTIFICATION_NOT_FOUND

    def __init__(self, deidentification_id: str) -> None:
        super().__init__(
            "no such de-identification, or nothing of it waits for a decision",
            deidentification_id=deidentification_id,
        )

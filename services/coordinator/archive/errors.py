"""Errors of the archive."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class StudyNotFoundError(ServiceError):
    """The study is unknown, or the caller may not see it.

    Args:
        study_id: Our id; empty when the caller named another one.
    """

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_STUDY_NOT_FOUND

    def __init__(self, study_id: str) -> None:
        super().__init__("study not found", study_id=study_id)


class SeriesNotFoundError(ServiceError):
    """The series is unknown, or the caller may not see it."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_SERIES_NOT_FOUND

    def __init__(self, series_id: str) -> None:
        super().__init__("series not found", series_id=series_id)


class InstanceNotFoundError(ServiceError):
    """The instance is unknown, or the caller may not see it."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_INSTANCE_NOT_FOUND

    def __init__(self, instance_id: str) -> None:
        super().__init__("instance not found", instance_id=instance_id)


class PatientNotFoundError(ServiceError):
    """The patient is unknown."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_PATIENT_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("patient not found")

"""Errors that may cross a service boundary.

Domain code raises a subclass of `ServiceError`; the error interceptor turns it into a
``google.rpc.Status`` that carries one ``ErrorInfo``. Anything else that escapes a handler is
reported as INTERNAL with no text, so that identifiers from a DICOM data set cannot leak through
an exception message. Reasons of one domain have their class in that domain's room.
"""

from __future__ import annotations

from typing import ClassVar, Final

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason

ERROR_DOMAIN: Final = "heimdallr.dev"


class ServiceError(Exception):
    """An expected failure with a stable reason.

    Args:
        message: Text for the caller's developer. Must not contain patient data.
        metadata: Values documented on the reason in ``error_reason.proto``.
    """

    code: ClassVar[grpc.StatusCode]
    reason: ClassVar[ErrorReason.ValueType]

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    def to_status(self) -> status_pb2.Status:
        """Return the error as it goes on the wire."""
        detail = any_pb2.Any()
        detail.Pack(
            error_details_pb2.ErrorInfo(
                reason=ErrorReason.Name(self.reason), domain=ERROR_DOMAIN, metadata=self.metadata
            )
        )
        code = code_pb2.Code.Value(self.code.name)
        return status_pb2.Status(code=code, message=self.message, details=[detail])


class InvalidFieldError(ServiceError):
    """A request field breaks a rule written on it in the contract."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_INVALID_FIELD

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}", field=field, rule=rule)


class InvalidDicomError(ServiceError):
    """The bytes are not DICOM, or break the encoding rules of PS3.5."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = ErrorReason.ERROR_REASON_INVALID_DICOM

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}", field=field, rule=rule)


class UnauthenticatedError(ServiceError):
    """No token, or one that is malformed, expired or not ours."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_UNAUTHENTICATED

    def __init__(self, message: str = "a valid bearer token is needed") -> None:
        super().__init__(message)


class PermissionDeniedError(ServiceError):
    """The caller's token does not permit the call.

    Args:
        permission: Scope name that is missing, e.g. "archive_read".
    """

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = ErrorReason.ERROR_REASON_PERMISSION_DENIED

    def __init__(self, permission: str) -> None:
        super().__init__(f"the call needs the permission {permission}", permission=permission)


class BlobNotFoundError(ServiceError):
    """The blob is unknown or belongs to nothing the caller named."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_BLOB_NOT_FOUND

    def __init__(self, sha256: str) -> None:
        super().__init__("blob not found", sha256=sha256)


class BlobCorruptError(ServiceError):
    """A stored blob does not have the bytes its hash promises."""

    code = grpc.StatusCode.DATA_LOSS
    reason = ErrorReason.ERROR_REASON_BLOB_CORRUPT

    def __init__(self, sha256: str) -> None:
        super().__init__("the stored bytes do not match their hash", sha256=sha256)


class StorageFullError(ServiceError):
    """No room to store more."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = ErrorReason.ERROR_REASON_STORAGE_FULL

    def __init__(self) -> None:
        super().__init__("no room to store more")


class DependencyUnavailableError(ServiceError):
    """Something the call needs cannot be reached now; the same call may succeed later.

    Args:
        dependency: Our name of it, e.g. "postgres", "blobs", "audit".
    """

    code = grpc.StatusCode.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE

    def __init__(self, dependency: str) -> None:
        super().__init__(f"{dependency} cannot be reached now", dependency=dependency)


class LimitExceededError(ServiceError):
    """More calls, bytes or work at once than a limit allows.

    Args:
        limit: Our name of the limit, e.g. "blob_bytes".
    """

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = ErrorReason.ERROR_REASON_LIMIT_EXCEEDED

    def __init__(self, limit: str) -> None:
        super().__init__(f"the limit {limit} is reached", limit=limit)


class ModelNotFoundError(ServiceError):
    """No model of that name is registered with the analysis service."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_MODEL_NOT_FOUND

    def __init__(self, model: str) -> None:
        super().__init__("no model of that name is registered", model=model)


class PeerNotFoundError(ServiceError):
    """No such peer is registered, or an AE title does not tell which of several is meant.

    Args:
        peer: The name or id that was asked for.
    """

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_PEER_NOT_FOUND

    def __init__(self, peer: str) -> None:
        super().__init__("no such peer is registered", peer=peer)


class SourceNotFoundError(ServiceError):
    """No such source is registered, or it is not told which of several is meant.

    Args:
        source_id: Our id, where one was asked for.
    """

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_SOURCE_NOT_FOUND

    def __init__(self, source_id: str) -> None:
        super().__init__("no such source is registered", source_id=source_id)


class NotReleasedError(ServiceError):
    """De-identification held or refused it, so it stays inside.

    Args:
        rule: What it did not pass, in a sentence without values.
        metadata: ``field`` of a text; ``released_count`` and ``held_count`` of objects.
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_NOT_RELEASED

    def __init__(self, rule: str, **metadata: str) -> None:
        super().__init__(f"not released: {rule}", rule=rule, **metadata)


class OcrUnavailableError(ServiceError):
    """Pixels must be read and no OCR engine is installed."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_OCR_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("pixels must be read and no OCR engine is installed")


class DeidKeyUnavailableError(ServiceError):
    """The key of a de-identification project is not at hand.

    Args:
        project_id: The project.
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_DEID_KEY_UNAVAILABLE

    def __init__(self, project_id: str) -> None:
        super().__init__("the key of the project is not at hand", project_id=project_id)

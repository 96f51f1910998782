"""What can go wrong with people and their tokens."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class UserNotFoundError(ServiceError):
    """The user is unknown or disabled."""

    code = grpc.StatusCode.NOT_FOUND
    reason = ErrorReason.ERROR_REASON_USER_NOT_FOUND

    def __init__(self, user_id: str) -> None:
        super().__init__("user not found", user_id=user_id)


class UserExistsError(ServiceError):
    """A user of that name exists."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = ErrorReason.ERROR_REASON_USER_EXISTS

    def __init__(self) -> None:
        super().__init__("a user of that name exists")


class SignInUsedError(ServiceError):
    """The one-time sign-in token was used before."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_SIGN_IN_USED

    def __init__(self) -> None:
        super().__init__("the sign-in token was used before")


class SignInRefusedError(ServiceError):
    """Name or password is wrong, or the person is disabled; which of them is never told."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = ErrorReason.ERROR_REASON_SIGN_IN_REFUSED

    def __init__(self) -> None:
        super().__init__("name and password do not fit")

"""What can go wrong with the registry of peers."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class PeerExistsError(ServiceError):
    """A peer of that name, or of that AE title and address, exists.

    Args:
        field: What is taken, e.g. "spec.name".
    """

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = ErrorReason.ERROR_REASON_PEER_EXISTS

    def __init__(self, field: str) -> None:
        super().__init__(f"another peer has this {field}", field=field)

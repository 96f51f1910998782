"""What can go wrong with a peer. No text here carries what a peer said."""

from __future__ import annotations

from typing import Literal

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError

Step = Literal["connect", "tls", "associate", "message", "http"]


class PeerUnreachableError(ServiceError):
    """The peer cannot be reached now, or broke off.

    Args:
        peer: Its name.
        step: What failed.
        why: In words of ours.
    """

    code = grpc.StatusCode.UNAVAILABLE
    reason = ErrorReason.ERROR_REASON_PEER_UNREACHABLE

    def __init__(self, peer: str, step: Step, why: str) -> None:
        super().__init__(f"the peer cannot be reached: {why}", peer=peer, step=step)


class PeerRefusedError(ServiceError):
    """The peer answered, and refused.

    Args:
        peer: Its name.
        status: DIMSE status in hexadecimal, or HTTP code.
        rule: What it refused, in words of ours.
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_PEER_REFUSED

    def __init__(self, peer: str, status: str, rule: str) -> None:
        text = f"the peer refused: {rule} ({status})"
        super().__init__(text, peer=peer, status=status, rule=rule)


class PeerOutsideError(ServiceError):
    """The peer lies outside the trust zone: nothing identified may go there."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_PEER_OUTSIDE

    def __init__(self, peer: str) -> None:
        super().__init__("the peer is outside: nothing identified goes there", peer=peer)

"""Errors of conversion that may cross its boundary."""

from __future__ import annotations

import grpc

from heimdallr.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import ServiceError


class ToolFailedError(ServiceError):
    """A tool in a process of its own failed or ran out of its limits.

    Args:
        tool: Our name of it, e.g. "dcm2niix".
        rule: What went wrong, e.g. "TIME_LIMIT"; never what the tool wrote.
    """

    code = grpc.StatusCode.INTERNAL
    reason = ErrorReason.ERROR_REASON_TOOL_FAILED

    def __init__(self, tool: str, rule: str) -> None:
        super().__init__(f"{tool} failed: {rule}", tool=tool, rule=rule)


class ImageNotRenderableError(ServiceError):
    """The pixels cannot be decoded, drawn or encoded, for a reason that lies in the image.

    Args:
        rule: What is wrong, in words of ours.
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = ErrorReason.ERROR_REASON_IMAGE_NOT_RENDERABLE

    def __init__(self, rule: str) -> None:
        super().__init__(f"image not renderable: {rule}", rule=rule)

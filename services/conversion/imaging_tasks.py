"""Requests about pixels as tasks for a worker; what breaks a rule is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from services.conversion.drawing import MAX_SIDE, Curve, Viewport, Window
from services.conversion.imaging import WRITTEN
from services.runtime.errors import InvalidFieldError

MAX_FRAMES: Final = 1000
_QUALITY: Final = 90
_KINDS: Final = {pb.PICTURE_FORMAT_PNG: "png", pb.PICTURE_FORMAT_JPEG: "jpeg"}
_CURVES: Final[dict[int, Curve]] = {
    pb.WINDOW_FUNCTION_UNSPECIFIED: "LINEAR",
    pb.WINDOW_FUNCTION_LINEAR: "LINEAR",
    pb.WINDOW_FUNCTION_LINEAR_EXACT: "LINEAR_EXACT",
    pb.WINDOW_FUNCTION_SIGMOID: "SIGMOID",
}


def render_task(request: pb.RenderFrameRequest, path: Path) -> dict[str, Any]:
    """Return the task of drawing a frame.

    Raises:
        InvalidFieldError: A field breaks its rule.
    """
    if request.format not in _KINDS:
        raise InvalidFieldError("format", "PNG or JPEG")
    if not 0 <= request.quality <= 100:
        raise InvalidFieldError("quality", "1 to 100")
    return {
        "task": "render",
        "path": str(path),
        "frame": _frame(request.frame),
        "kind": _KINDS[request.format],
        "quality": request.quality or _QUALITY,
        "window": asdict(_window(request.window)) if request.HasField("window") else None,
        "viewport": asdict(_viewport(request.viewport)) if request.HasField("viewport") else None,
    }


def decode_task(frames: Sequence[int], path: Path) -> dict[str, Any]:
    """Return the task of decoding frames.

    Raises:
        InvalidFieldError: There are none, too many, or one has no number.
    """
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise InvalidFieldError("frames", f"1 to {MAX_FRAMES}")
    return {"task": "decode", "path": str(path), "frames": [_frame(number) for number in frames]}


def transcode_task(transfer_syntax_uid: str, path: Path, target: Path) -> dict[str, Any]:
    """Return the task of writing an instance in another transfer syntax.

    Raises:
        InvalidFieldError: The transfer syntax is not one that is written.
    """
    if transfer_syntax_uid not in WRITTEN:
        raise InvalidFieldError("transfer_syntax_uid", "not one that is written")
    return {
        "task": "transcode",
        "path": str(path),
        "syntax": transfer_syntax_uid,
        "target": str(target),
    }


def _frame(number: int) -> int:
    if number < 1:
        raise InvalidFieldError("frame", "from 1")
    return number


def _window(given: pb.Window) -> Window:
    curve = _CURVES.get(given.function)
    finite = math.isfinite(given.center) and math.isfinite(given.width)
    least = 1.0 if curve == "LINEAR" else 5e-324
    if curve is None or not finite or given.width < least:
        raise InvalidFieldError("window", "finite numbers, a width of at least 1, a function")
    return Window(given.center, given.width, curve)


def _viewport(given: pb.Viewport) -> Viewport:
    if not (1 <= given.width <= MAX_SIDE and 1 <= given.height <= MAX_SIDE):
        raise InvalidFieldError("viewport", f"1 to {MAX_SIDE} pixels a side")
    part = (given.source_x, given.source_y, given.source_width, given.source_height)
    if not all(map(math.isfinite, part)) or given.source_x < 0 or given.source_y < 0:
        raise InvalidFieldError("viewport", "a part of the image, from 0")
    return Viewport(given.width, given.height, *part)

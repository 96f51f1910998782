"""Parameters of a rendered picture (PS3.18 section 8.3.5) as a request to conversion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from multidict import MultiMapping

from gateway.dicomweb.accept import MediaRange
from gateway.dicomweb.problems import not_acceptable
from gateway.http.problem import Problem, bad_request
from heimdallr.conversion.v1 import conversion_service_pb2 as pb

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
THUMBNAIL_SIDE: Final = 256
_MAX_SIDE: Final = 8192
_FORMATS: Final = {JPEG: pb.PICTURE_FORMAT_JPEG, PNG: pb.PICTURE_FORMAT_PNG}
_FUNCTIONS: Final = {
    "linear": pb.WINDOW_FUNCTION_LINEAR,
    "linear-exact": pb.WINDOW_FUNCTION_LINEAR_EXACT,
    "sigmoid": pb.WINDOW_FUNCTION_SIGMOID,
}


def picture_type(ranges: Sequence[MediaRange]) -> str:
    """Choose the media type of a picture; JPEG where the client takes any.

    Raises:
        Problem: The client takes neither JPEG nor PNG.
    """
    for media in ranges:
        for known in (JPEG, PNG):
            if media.matches(known):
                return known
    raise not_acceptable("Pictures are given as image/jpeg or image/png.")


def render_request(
    query: MultiMapping[str], media_type: str, frame: int, *, thumbnail: bool
) -> pb.RenderFrameRequest:
    """Read the parameters of a picture.

    Args:
        query: The parameters.
        media_type: That of the picture.
        frame: Number of the frame, from 1.
        thumbnail: Whether the picture is small unless told otherwise.

    Raises:
        Problem: A parameter breaks its rule.
    """
    request = pb.RenderFrameRequest(frame=frame, format=_FORMATS[media_type])
    if "quality" in query:
        request.quality = _quality(query["quality"])
    if "window" in query:
        request.window.CopyFrom(_window(query["window"]))
    if "viewport" in query:
        request.viewport.CopyFrom(_viewport(query["viewport"]))
    elif thumbnail:
        request.viewport.CopyFrom(pb.Viewport(width=THUMBNAIL_SIDE, height=THUMBNAIL_SIDE))
    return request


def _quality(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= 100:
        raise bad_request("The parameter quality is a whole number from 1 to 100.")
    return int(text)


def _window(text: str) -> pb.Window:
    center, width, *function = text.split(",") if text.count(",") in (1, 2) else ("", "")
    name = function[0].strip().lower() if function else "linear"
    refused = bad_request("The parameter window is a center, a width and a function.")
    if name not in _FUNCTIONS:
        raise refused
    window = pb.Window(
        center=_number(center, refused), width=_number(width, refused), function=_FUNCTIONS[name]
    )
    if window.width <= 0 or (name == "linear" and window.width < 1):
        raise bad_request("The width of a window is at least 1.")
    return window


def _viewport(text: str) -> pb.Viewport:
    refused = bad_request("The parameter viewport is two or six numbers.")
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise refused
    numbers = [_number(part or "0", refused) for part in parts]
    width, height = (round(number) for number in numbers[:2])
    if not (1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE):
        raise bad_request(f"A viewport is 1 to {_MAX_SIDE} pixels wide and high.")
    if len(numbers) == 2:
        return pb.Viewport(width=width, height=height)
    x, y, source_width, source_height = numbers[2:]
    if x < 0 or y < 0:
        raise refused
    return pb.Viewport(
        width=width,
        height=height,
        source_x=x,
        source_y=y,
        source_width=source_width,
        source_height=source_height,
    )


def _number(text: str, refused: Problem) -> float:
    try:
        value = float(text[:32])
    except ValueError:
        raise refused from None
    if not math.isfinite(value):
        raise refused
    return value

"""Fills rectangles of a frame with its background; every other pixel stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.deid.pixels.text import Area, Frame

_GREY_CHROMA: Final = 2
"""Half of the range: no colour (PS3.3 C.7.6.3.1.2)."""


def background(frame: Frame, photometric: str) -> NDArray[Any]:
    """Return the darkest value that the frame knows, one for each sample.

    Args:
        frame: Rows x columns, or rows x columns x 3.
        photometric: Photometric Interpretation of its samples.
    """
    if frame.ndim == 2:
        finite = frame[np.isfinite(frame)] if frame.dtype.kind == "f" else frame
        if photometric == "PALETTE COLOR":
            values, counts = np.unique(frame, return_counts=True)
            return np.asarray(values[counts.argmax()], frame.dtype)
        darkest = finite.max() if photometric == "MONOCHROME1" else finite.min()
        return np.asarray(darkest, frame.dtype)
    middle = np.iinfo(frame.dtype).max // _GREY_CHROMA + 1
    dark = (0, middle, middle) if photometric.startswith("YBR_FULL") else (0, 0, 0)
    return np.asarray(dark, frame.dtype)


def blank(frame: Frame, areas: Iterable[Area], filling: NDArray[Any]) -> None:
    """Fill areas of a frame, in place."""
    for area in areas:
        frame[area.y : area.y + area.height, area.x : area.x + area.width] = filling

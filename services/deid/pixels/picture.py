"""A frame as grey pictures in which text can be seen, whatever its range, colour or contrast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.deid.pixels.text import Frame, Picture

_COLOURED: Final = 40
_TAILS: Final = (1.0, 99.0)
_SQUEEZED: Final = 2.0
"""Where single pixels stretch the range this much, what lies between is shown for itself, too."""
_CHANNELS: Final = 3


def pictures_of(frame: Frame, photometric: str) -> Iterator[Picture]:
    """Yield the pictures of a frame.

    Args:
        frame: Rows x columns, or rows x columns x 3.
        photometric: Photometric Interpretation of its samples.
    """
    if frame.ndim == _CHANNELS:
        yield from _of_colours(frame, photometric)
        return
    values = np.nan_to_num(frame.astype(np.float32))
    low, high = float(values.min()), float(values.max())
    if low == high:
        return
    yield _stretched(values, low, high)
    inner_low, inner_high = (float(edge) for edge in np.percentile(values, _TAILS))
    if inner_low < inner_high and high - low > _SQUEEZED * (inner_high - inner_low):
        yield _stretched(values, inner_low, inner_high)


def _of_colours(frame: Frame, photometric: str) -> Iterator[Picture]:
    if photometric.startswith("YBR"):
        # Coloured letters differ in brightness or in one of the differences of colour.
        yield from pictures_of(frame[..., 0], "")
        for channel in (frame[..., 1], frame[..., 2]):
            if float(np.ptp(channel)) > _COLOURED:
                yield from pictures_of(channel, "")
        return
    brightest, darkest = frame.max(axis=-1), frame.min(axis=-1)
    yield from pictures_of(brightest, "")
    if float((brightest.astype(np.int64) - darkest).max()) > _COLOURED:
        yield from pictures_of(darkest, "")


def _stretched(values: NDArray[Any], low: float, high: float) -> Picture:
    shown = (np.clip(values, low, high) - low) * (255 / (high - low))
    picture: Picture = shown.astype(np.uint8)
    return picture

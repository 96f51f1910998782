"""A frame of a released object as a picture: pixels alone, no word of its header."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from services.deid.errors import DeidRefusedError

_INVERTED: Final = "MONOCHROME1"
_WHITE: Final = 255
_COLOURS: Final = 3
_TAILS: Final = (0.5, 99.5)


def picture_of(file: bytes, number: int) -> bytes:
    """Return a frame as PNG: grey levels between its darkest and brightest, or RGB as stored.

    Args:
        file: A released DICOM file (PS3.10).
        number: Of the frame, from 1.

    Raises:
        DeidRefusedError: It has no such frame.
    """
    header = dcmread(BytesIO(file), stop_before_pixels=True)
    if not 1 <= number <= int(header.get("NumberOfFrames") or 1):
        raise DeidRefusedError("NO_SUCH_FRAME", "NumberOfFrames", "has no such frame")
    frame = pixel_array(BytesIO(file), index=number - 1)
    shown = frame if frame.ndim == _COLOURS and frame.dtype == np.uint8 else _grey(frame)
    if header.get("PhotometricInterpretation") == _INVERTED:
        shown = _WHITE - shown
    made = BytesIO()
    Image.fromarray(shown).save(made, "PNG")
    return made.getvalue()


def _grey(frame: NDArray[Any]) -> NDArray[np.uint8]:
    values = np.nan_to_num(frame.astype(np.float32))
    low, high = (float(edge) for edge in np.percentile(values, _TAILS))
    if low >= high:
        low, high = float(values.min()), float(values.max())
    scale = _WHITE / (high - low) if high > low else 0.0
    shown: NDArray[np.uint8] = ((np.clip(values, low, high) - low) * scale).astype(np.uint8)
    return shown

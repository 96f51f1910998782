"""A small picture of any image, whatever its kind; also a program of its own.

Compressed pixels are decoded by native libraries that a hostile file may crash, so they are
decoded by ``python -m services.conversion.rendering FILE FRAME TARGET`` in a limited process.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array

from services.conversion.previews import in_window, png, window

THUMBNAIL_SIDE: Final = 256
MAX_PIXELS: Final = 120_000_000
"""Most samples of one frame; more are refused before anything is allocated."""

_PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class Outcome(IntEnum):
    """How rendering ended; the exit code of the program."""

    DONE = 0
    NO_PIXELS = 10
    TOO_LARGE = 11
    CANNOT_DECODE = 12


def outcome_before_pixels(header: Dataset) -> Outcome:
    """Judge by the header whether a frame may be decoded at all."""
    try:
        rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
        samples = int(header.get("SamplesPerPixel") or 1)
    except (ValueError, TypeError):
        return Outcome.CANNOT_DECODE
    if rows < 1 or columns < 1:
        return Outcome.NO_PIXELS
    return Outcome.TOO_LARGE if rows * columns * samples > MAX_PIXELS else Outcome.DONE


def render(source: Path, frame: int, target: Path) -> Outcome:
    """Draw one frame of a DICOM file as a PNG of at most ``THUMBNAIL_SIDE``.

    Args:
        source: A DICOM file.
        frame: Index from 0.
        target: File to write.
    """
    try:
        header = pydicom.dcmread(source, stop_before_pixels=True)
        outcome = outcome_before_pixels(header)
        if outcome is not Outcome.DONE:
            return outcome
        pixels = pixel_array(source, index=frame)
        target.write_bytes(png(_fitted(_eight_bit(pixels, header), header)))
    # Decoders and odd headers fail in any way they like; each means: cannot be shown.
    except Exception:
        return Outcome.CANNOT_DECODE
    return Outcome.DONE


def _eight_bit(pixels: npt.NDArray[Any], header: Dataset) -> npt.NDArray[np.uint8]:
    if header.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
    if pixels.ndim == 3:
        return _colour(pixels)
    grey = _grey(pixels, header)
    return 255 - grey if header.PhotometricInterpretation == "MONOCHROME1" else grey


def _colour(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    depth = np.iinfo(pixels.dtype).bits
    return (pixels >> (depth - 8)).astype(np.uint8)


def _grey(pixels: npt.NDArray[Any], header: Dataset) -> npt.NDArray[np.uint8]:
    """Apply the image's own rescale and window (PS3.3 C.11.1, C.11.2), or fit the contrast."""
    values = np.asarray(apply_modality_lut(pixels, header), dtype=np.float64)
    if header.get("WindowWidth") and header.get("WindowCenter"):
        shown = np.asarray(apply_voi_lut(values, header), dtype=np.float64)
        low, high = float(shown.min()), float(shown.max())
        if high > low:
            return in_window(shown, (low + high) / 2, high - low)
    return window(values)[0]


def _fitted(pixels: npt.NDArray[np.uint8], header: Dataset) -> Image.Image:
    rows, columns = pixels.shape[:2]
    tall, wide = _aspect(header)
    factor = min(1.0, THUMBNAIL_SIDE / max(rows * tall, columns * wide))
    size = (max(1, round(columns * wide * factor)), max(1, round(rows * tall * factor)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BOX)


def _aspect(header: Dataset) -> tuple[float, float]:
    """Return the height and width of a pixel, the larger one 1 (PS3.3 10.7, C.7.6.3.1.7)."""
    given = header.get("PixelSpacing") or header.get("PixelAspectRatio") or (1, 1)
    tall, wide = (float(value) for value in given)
    largest = max(tall, wide)
    if not (tall > 0 and wide > 0 and largest / min(tall, wide) <= 20):
        return 1.0, 1.0
    return tall / largest, wide / largest


if __name__ == "__main__":
    sys.exit(render(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))

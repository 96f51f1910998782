"""A frame as a person sees it: grey levels or colours of 8 bits, cut and scaled (PS3.18 8.3.5)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

Pixels = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Curve = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]

MAX_SIDE: Final = 8192
_TABLE_VALUES: Final = 1 << 16
_CURVES: Final[tuple[Curve, ...]] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True, slots=True)
class Window:
    """How values after the modality LUT become grey levels (PS3.3 C.11.2.1)."""

    center: float
    width: float
    curve: Curve = "LINEAR"


@dataclass(frozen=True, slots=True)
class Viewport:
    """Size of the picture, and the part of the image in it, in image pixels from 0.

    A width or height of the part that is negative flips it; one of zero goes up to the edge.
    """

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    source_width: float = 0.0
    source_height: float = 0.0


def draw(
    pixels: Pixels, header: Dataset, chosen: Window | None, viewport: Viewport | None
) -> Image.Image:
    """Draw one decoded frame.

    Args:
        pixels: (rows, columns) or (rows, columns, 3), as decoded; colours are RGB.
        header: Attributes that hold for this frame.
        chosen: Window; None takes the image's own, or fits the contrast.
        viewport: Size; None keeps that of the image.
    """
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, header)
    eight_bit = _colour(pixels) if pixels.ndim == 3 else _grey(pixels, header, chosen)
    picture = Image.fromarray(np.ascontiguousarray(eight_bit))
    return picture if viewport is None else _placed(picture, viewport, header)


def encoded(picture: Image.Image, kind: Literal["png", "jpeg"], quality: int) -> bytes:
    """Encode a picture; the same picture gives the same bytes."""
    buffer = io.BytesIO()
    if kind == "png":
        picture.save(buffer, format="PNG", compress_level=1)
    else:
        picture.save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _colour(pixels: Pixels) -> Bytes:
    if pixels.dtype == np.uint8:
        return pixels
    depth = np.iinfo(pixels.dtype).bits
    return (pixels >> (depth - 8)).astype(np.uint8)


def _grey(pixels: Pixels, header: Dataset, chosen: Window | None) -> Bytes:
    # With more pixels than values it is cheaper to map each value once.
    tabled = pixels.dtype in (np.uint16, np.int16) and pixels.size > _TABLE_VALUES
    if tabled and not _fitted_contrast(header, chosen):
        table = _table(pixels.dtype, header, chosen)
        return np.take(table, pixels.view(np.uint16), mode="wrap")
    grey = _shown(pixels, header, chosen)
    return 255 - grey if _is_inverse(header) else grey


def _table(dtype: np.dtype[Any], header: Dataset, chosen: Window | None) -> Bytes:
    """Return the grey level of each value that 16 bits can hold."""
    window = chosen or own_window(header)
    if window is not None and not header.get("ModalityLUTSequence"):
        slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
        if isinstance(slope, float) and isinstance(intercept, float):
            scale = (float(slope), float(intercept))
            return _linear_table(dtype.char, *scale, window, _is_inverse(header))
    grey = _shown(_every_value(dtype), header, chosen)
    return 255 - grey if _is_inverse(header) else grey


@lru_cache(maxsize=32)
def _linear_table(
    kind: str, slope: float, intercept: float, window: Window, inverse: bool
) -> Bytes:
    # The slices of a series are drawn one after another, and mostly have one window.
    values = _every_value(np.dtype(kind)).astype(np.float64) * slope + intercept
    grey = _windowed(values, window)
    return 255 - grey if inverse else grey


def _every_value(dtype: np.dtype[Any]) -> Pixels:
    return np.arange(_TABLE_VALUES, dtype=np.uint16).view(dtype)


def _is_inverse(header: Dataset) -> bool:
    # Presentation LUT Shape says the same for the images that carry it (PS3.3 C.11.6).
    stated = (header.get("PhotometricInterpretation"), header.get("PresentationLUTShape"))
    return stated[0] == "MONOCHROME1" or stated == ("MONOCHROME2", "INVERSE")


def _fitted_contrast(header: Dataset, chosen: Window | None) -> bool:
    return chosen is None and own_window(header) is None and not header.get("VOILUTSequence")


def _shown(pixels: Pixels, header: Dataset, chosen: Window | None) -> Bytes:
    values = np.asarray(apply_modality_lut(pixels, header))
    window = chosen or own_window(header)
    if window is None and header.get("VOILUTSequence"):
        looked_up = np.asarray(apply_voi_lut(values, header), dtype=np.float64)
        depth = int(header.VOILUTSequence[0].LUTDescriptor[2])
        looked_up = np.clip(looked_up / (2**depth - 1) * 255, 0, 255)
        return np.asarray(looked_up, dtype=np.uint8)
    if window is None:
        window = _fit(values)
    return _windowed(values.astype(np.float64), window)


def own_window(header: Dataset) -> Window | None:
    """Return the first window that the image states; None where it states none of use."""
    try:
        center, width = (_first(header.get(k)) for k in ("WindowCenter", "WindowWidth"))
    except (TypeError, ValueError):
        return None
    if center is None or width is None or not np.isfinite((center, width)).all():
        return None
    named = str(header.get("VOILUTFunction") or "LINEAR")
    curve = next((known for known in _CURVES if known == named), _CURVES[0])
    if width < 1 and (curve == "LINEAR" or width <= 0):
        return None
    return Window(center, width, curve)


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value if isinstance(value, int | float | str) else value[0])


def _fit(values: Pixels) -> Window:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    return Window(float(low + high) / 2, max(float(high - low), 1e-6), "LINEAR_EXACT")


def _windowed(values: npt.NDArray[np.float64], window: Window) -> Bytes:
    """Apply a window (PS3.3 C.11.2.1.2 and C.11.2.1.3), to 0..255."""
    values = np.nan_to_num(values, nan=window.center - window.width)
    if window.curve == "SIGMOID":
        exponent = np.clip(-4 * (values - window.center) / window.width, -700, 700)
        share = 1 / (1 + np.exp(exponent))
    elif window.curve == "LINEAR" and window.width > 1:
        share = (values - (window.center - 0.5)) / (window.width - 1) + 0.5
    elif window.curve == "LINEAR":
        share = (values > window.center - 0.5).astype(np.float64)
    else:
        share = (values - window.center) / window.width + 0.5
    return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _placed(picture: Image.Image, viewport: Viewport, header: Dataset) -> Image.Image:
    wide, tall = picture.size
    across = viewport.source_width or wide - viewport.x
    down = viewport.source_height or tall - viewport.y
    box = (
        max(0.0, viewport.x),
        max(0.0, viewport.y),
        min(float(wide), viewport.x + abs(across)),
        min(float(tall), viewport.y + abs(down)),
    )
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        raise ValueError("the viewport lies outside of the image")
    if across < 0:
        picture = picture.crop(box_of(box)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        box = (0.0, 0.0, float(picture.width), float(picture.height))
    if down < 0:
        picture = picture.crop(box_of(box)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        box = (0.0, 0.0, float(picture.width), float(picture.height))
    return picture.resize(_size(box, viewport, header), Image.Resampling.BILINEAR, box=box)


def box_of(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Return the whole pixels of a box."""
    left, top, right, bottom = box
    return int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))


def _size(
    box: tuple[float, float, float, float], viewport: Viewport, header: Dataset
) -> tuple[int, int]:
    pixel_height, pixel_width = aspect(header)
    width, height = (box[2] - box[0]) * pixel_width, (box[3] - box[1]) * pixel_height
    factor = min(viewport.width / width, viewport.height / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def aspect(header: Dataset) -> tuple[float, float]:
    """Return the height and width of a pixel, the larger one 1 (PS3.3 10.7, C.7.6.3.1.7)."""
    given = header.get("PixelSpacing") or header.get("PixelAspectRatio") or (1, 1)
    tall, wide = (float(value) for value in given)
    largest = max(tall, wide)
    if not (tall > 0 and wide > 0 and largest / min(tall, wide) <= 20):
        return 1.0, 1.0
    return tall / largest, wide / largest

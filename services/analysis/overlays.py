"""Pictures with the labels drawn over the volume."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.analysis.structures import BODY, LABELLED, OTHER

WINDOW_HU: Final = (-500, 500)
OPACITY: Final = 0.35
MIN_SIDE_PX: Final = 480
MAX_SIDE_PX: Final = 768
"""Bounds of the longer side; between them a voxel of the finer axis is a pixel."""

Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture for people.

    Attributes:
        png: The picture, without text.
        kind: "overlay-coronal" or "overlay-axial".
        alternative_text: Description for those who cannot see it.
    """

    png: bytes
    kind: str
    alternative_text: str


def overlays(
    labelmap: NDArray[np.uint8],
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
) -> list[Overlay]:
    """Draw the coronal and the axial slice through the middle of the body.

    Args:
        labelmap: Labels, (z, y, x), z to the head, y to the back, x to the patient's left.
        hu: Hounsfield units, same shape.
        spacing_mm: Distance of voxel centres along z, y, x.

    Returns:
        The coronal picture, which is the key image, and the axial one; the patient's left is on
        the right, as radiologists look. The same input gives the same bytes.
    """
    z_mm, y_mm, x_mm = spacing_mm
    z, y = _middle(labelmap, 0), _middle(labelmap, 1)
    # Rows run down the page, slices run up the body.
    coronal = (labelmap[::-1, y, :], hu[::-1, y, :], (z_mm, x_mm), "coronal")
    axial = (labelmap[z], hu[z], (y_mm, x_mm), "axial")
    return [_drawn(*view) for view in (coronal, axial)]


def _middle(labelmap: NDArray[np.uint8], axis: int) -> int:
    """Index of the plane that halves the lungs, or the body where there are none."""
    others = tuple(other for other in range(3) if other != axis)
    for wanted in (labelmap == LABELLED[0].labels[0], labelmap > 0):
        counts = wanted.sum(axis=others, dtype=np.int64)
        if counts.any():
            return int(np.flatnonzero(np.cumsum(counts) * 2 >= counts.sum())[0])
    return int(labelmap.shape[axis]) // 2


def _drawn(
    labels: NDArray[np.uint8], hu: NDArray[np.int16], pixel_mm: tuple[float, float], view: str
) -> Overlay:
    size = _size(labels.shape, pixel_mm)
    low, high = WINDOW_HU
    grey = np.clip((hu.astype(np.float32) - low) * (255.0 / (high - low)), 0, 255)
    shade = _resized(grey.astype(np.uint8), size, Image.Resampling.BILINEAR)
    coloured = _coloured(shade, _resized(labels, size, Image.Resampling.NEAREST))
    buffer = io.BytesIO()
    Image.fromarray(coloured).save(buffer, format="PNG", optimize=False, compress_level=6)
    seen = [s.display_name.lower() for s in LABELLED if (labels == s.labels[0]).any()]
    text = (
        f"{view.capitalize()} slice through the middle, coloured: {', '.join(seen) or 'nothing'}."
    )
    return Overlay(buffer.getvalue(), f"overlay-{view}", text)


def _size(shape: tuple[int, ...], pixel_mm: tuple[float, float]) -> tuple[int, int]:
    """Width and height in pixels with square pixels and a bounded longer side."""
    height_mm, width_mm = shape[0] * pixel_mm[0], shape[1] * pixel_mm[1]
    longer_mm = max(height_mm, width_mm)
    longer_px = min(max(longer_mm / min(pixel_mm), MIN_SIDE_PX), MAX_SIDE_PX)
    scale = longer_px / longer_mm
    return max(1, round(width_mm * scale)), max(1, round(height_mm * scale))


def _resized(
    plane: NDArray[np.uint8], size: tuple[int, int], how: Image.Resampling
) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, how))


def _coloured(shade: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Rgb:
    """Tint each structure and draw its outline in full colour; the body gets an outline only."""
    picture = np.repeat(shade[:, :, None], 3, axis=2).astype(np.float32)
    for structure in LABELLED:
        if structure is OTHER:
            continue
        mask = labels == structure.labels[0]
        color = _rgb(structure.color)
        picture[mask] = (1 - OPACITY) * picture[mask] + OPACITY * color
        picture[_outline(mask)] = color
    picture[_outline(labels > 0)] = _rgb(BODY.color)
    return np.rint(picture).astype(np.uint8)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = np.pad(mask, 1)
    core = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    return mask & ~core


def _rgb(color: str) -> NDArray[np.float32]:
    return np.frombuffer(bytes.fromhex(color.removeprefix("#")), np.uint8).astype(np.float32)

"""Pictures of a volume for people: one slice a plane, from the middle."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nibabel
import numpy as np
import numpy.typing as npt
from PIL import Image

from services.conversion.volume_file import load

Array = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

MAX_SIDE: Final = 512
SOFT_TISSUE_HU: Final = (40.0, 400.0)
"""Level and width in HU of the window in which CT volumes are shown."""

_KINDS: Final = ("axial", "coronal", "sagittal")
# Per kind: axis of RAS that is sliced, axis along the picture's rows, axis along its columns.
_AXES: Final = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
_SIDES: Final = {
    "axial": "The patient's right is on the left, the front at the top.",
    "coronal": "The patient's right is on the left, the head at the top.",
    "sagittal": "The patient's front is on the left, the head at the top.",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG without text in it, what it shows, and a description in words."""

    png: bytes
    kind: str
    alternative_text: str


def previews(path: Path, modality: str, *, hounsfield: bool) -> list[Picture]:
    """Draw the middle axial, coronal and sagittal slice of a volume.

    Radiological convention: the patient's right is on the picture's left. Pixels are square in
    millimetres, 8 bit grey, at most ``MAX_SIDE`` on the longer side.

    Args:
        path: Uncompressed NIfTI-1 file; only the three slices are read.
        modality: Modality (0008,0060), for the description.
        hounsfield: Whether values are Hounsfield units and so are shown in a fixed window.
    """
    image = load(path)
    return [_picture(image, kind, modality, hounsfield=hounsfield) for kind in _KINDS]


def _picture(image: Any, kind: str, modality: str, *, hounsfield: bool) -> Picture:
    values, height_mm, width_mm = _middle(image, kind)
    grey, shown = window(values) if not hounsfield else (in_window(values, *SOFT_TISSUE_HU), "")
    if hounsfield:
        level, width = SOFT_TISSUE_HU
        shown = f"soft-tissue window (level {level:g} HU, width {width:g} HU)"
    text = f"Middle {kind} slice of the {modality} volume, {shown}. {_SIDES[kind]}"
    return Picture(png(scaled(grey, height_mm, width_mm)), kind, text)


def _middle(image: Any, kind: str) -> tuple[Array, float, float]:
    """Return the middle slice with head or front first, right first, and its size in mm."""
    # First column: which RAS axis each voxel axis runs along; second: in which direction.
    directions = nibabel.io_orientation(image.affine)  # type: ignore[no-untyped-call]
    voxel_axis = {int(ras): axis for axis, (ras, _) in enumerate(directions)}
    across, down, along = (voxel_axis[ras] for ras in _AXES[kind])
    index: list[slice | int] = [slice(None)] * 3
    index[across] = image.shape[across] // 2
    values = np.asarray(image.dataobj[tuple(index)], dtype=np.float64)
    if down > along:
        values = values.T
    # All three RAS axes are drawn backwards: superior, anterior and right come first.
    values = values[:: -int(directions[down][1]), :: -int(directions[along][1])]
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    return values, spacing[down] * values.shape[0], spacing[along] * values.shape[1]


def in_window(values: Array, level: float, width: float) -> Bytes:
    """Map values to 0-255 by a linear window (PS3.3 C.11.2.1.2); not-a-number is black."""
    scaled_values = (np.nan_to_num(values, nan=level - width) - (level - width / 2)) / width
    return np.round(np.clip(scaled_values, 0, 1) * 255).astype(np.uint8)


def window(values: Array) -> tuple[Bytes, str]:
    """Map values to 0-255 between their 1st and 99th percentile, and say so."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros(values.shape, np.uint8), "without any valid value"
    low, high = np.percentile(finite, (1, 99))
    width = max(float(high - low), 1e-6)
    return in_window(values, float(low) + width / 2, width), "contrast fitted to the picture"


def scaled(grey: npt.NDArray[np.uint8], height_mm: float, width_mm: float) -> Image.Image:
    """Resample a picture so that its pixels are square and its longer side fits."""
    factor = MAX_SIDE / max(height_mm, width_mm)
    size = (max(1, round(width_mm * factor)), max(1, round(height_mm * factor)))
    return Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.BILINEAR)


def png(picture: Image.Image) -> bytes:
    """Encode a picture; the same picture gives the same bytes."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()

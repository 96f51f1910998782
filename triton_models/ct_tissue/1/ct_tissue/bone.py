"""Bone: dense components with their cancellous inside, edged at half maximum."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ct_tissue.morphology import Mask, bounding_box, closed, erode, holes, label, radius_px

BONE_HU: Final = 140
CORE_HU: Final = 250
CORE_ML: Final = 0.05
LEAST_ML: Final = 0.2
"""A component is bone if it is large enough and holds enough dense voxels."""

ENVELOPE_MM: Final = 12.0
CANCELLOUS_HU: Final = 90
"""Cancellous bone is this dense and lies in a cortex whose gaps are under 24 mm wide."""

MARROW_CLOSING_MM: Final = 2.0
MARROW_MM2: Final = 2500.0
CANAL_MM2: Final = 60.0
CANAL_HU: Final = (0.0, 70.0)
"""A larger hole is a body cavity; one of this size and level is the spinal canal."""

SOFT_HU: Final = 50
PEAK_MM: Final = 2.0
"""Level beside bone, and how far from an edge voxel its bone's peak is looked for."""


def bone_mask(hu: NDArray[np.int16], body: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Mark bone, marrow included and spinal canal left out.

    Args:
        hu: Hounsfield units, (z, y, x).
        body: The body, cavities included.
        spacing_mm: Millimetres between voxels, (z, y, x).

    Returns:
        Mask of the same shape.
    """
    bone = _dense_components(hu, body, spacing_mm)
    pixel_mm = max(spacing_mm[1:])
    margin = radius_px(ENVELOPE_MM, pixel_mm)
    for z in np.flatnonzero(bone.any(axis=(1, 2))):
        box = bounding_box(bone[z], margin)
        bone[z][box] = _whole(hu[z][box], bone[z][box], pixel_mm) & body[z][box]
    return _edged(hu, bone, spacing_mm)


def _dense_components(
    hu: NDArray[np.int16], body: Mask, spacing_mm: tuple[float, float, float]
) -> Mask:
    dense = body & (hu > BONE_HU)
    numbered, count = label(dense)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    # Only the dense voxels are counted: a count over the volume would copy it as 64-bit integers.
    volume_ml = np.bincount(numbered[dense], minlength=count + 1) * voxel_ml
    core_ml = np.bincount(numbered[dense & (hu > CORE_HU)], minlength=count + 1) * voxel_ml
    keep = (volume_ml >= LEAST_ML) & (core_ml >= CORE_ML)
    keep[0] = False
    return np.asarray(keep[numbered], dtype=bool)


def _whole(hu: NDArray[np.int16], bone: Mask, pixel_mm: float) -> Mask:
    """Add cancellous bone inside the cortex of a slice, and the holes that marrow fills."""
    envelope = closed(bone, radius_px(ENVELOPE_MM, pixel_mm))
    firm = bone | (envelope & (hu > CANCELLOUS_HU))
    shut = closed(firm, radius_px(MARROW_CLOSING_MM, pixel_mm))
    numbered, count = holes(shut)
    index = numbered.ravel()
    voxels = np.bincount(index, minlength=count + 1)
    mean = np.bincount(index, weights=hu.ravel(), minlength=count + 1) / np.maximum(voxels, 1)
    area_mm2 = voxels * pixel_mm**2
    is_canal = (area_mm2 > CANAL_MM2) & (mean > CANAL_HU[0]) & (mean < CANAL_HU[1])
    marrow = (area_mm2 <= MARROW_MM2) & ~is_canal
    marrow[0] = False
    return np.asarray(shut | marrow[numbered], dtype=bool)


def _edged(hu: NDArray[np.int16], bone: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Drop edge voxels below half of their bone's peak: the larger part of them is not bone."""
    edged = bone.copy()
    width = 2 * radius_px(PEAK_MM, max(spacing_mm[1:])) + 1
    for z in np.flatnonzero(bone.any(axis=(1, 2))):
        box = bounding_box(bone[z], width)
        # The slices above and below count: a rib that only grazes this one has its peak there.
        near = slice(max(z - 1, 0), z + 2)
        inside = bone[near][(slice(None), *box)]
        dense = np.where(inside, hu[near][(slice(None), *box)], SOFT_HU).max(axis=0)
        peak = ndimage.maximum_filter(dense, size=width)
        faint = hu[z][box] < (peak + SOFT_HU) // 2
        edged[z][box] &= ~(faint & ~erode(bone[z][box], 1))
    return edged

"""Lungs: air of the body that is neither airway nor bowel."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ct_tissue.morphology import Mask, closed, erode, holes, label, radius_px

LUNG_HU: Final = -400
"""Mid-point between aerated lung (-850) and soft tissue (50)."""

GAS_HU: Final = -940
"""A component whose inside is thinner than this on average is gas, not lung."""

WHOLE_ML: Final = 100.0
CUT_ML: Final = 2.0
"""Least volume of a lung, and of a lung cut by the upper end of the scan."""

LARGEST_SHARE: Final = 0.03
VESSEL_CLOSING_MM: Final = 2.5
VESSEL_AREA_MM2: Final = 150.0
"""Vessels inside a lung belong to it: gaps and holes up to this size are closed."""


def air_mask(hu: NDArray[np.int16], body: Mask) -> Mask:
    """Mark the voxels of the body on the air side of the mid-point, (z, y, x)."""
    return np.asarray(body & (hu < LUNG_HU))


def lung_mask(
    hu: NDArray[np.int16],
    air: Mask,
    airways: Mask,
    body: Mask,
    spacing_mm: tuple[float, float, float],
) -> Mask:
    """Mark both lungs, small vessels included.

    Args:
        hu: Hounsfield units, (z, y, x), z to the head.
        air: Result of `air_mask`.
        airways: Voxels already taken by the airways.
        body: The body, cavities included.
        spacing_mm: Millimetres between voxels, (z, y, x).

    Returns:
        Mask of the same shape; empty if no lung is found.
    """
    lungs = _lung_components(hu, air & ~airways, spacing_mm)
    radius = radius_px(VESSEL_CLOSING_MM, max(spacing_mm[1:]))
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    for z in np.flatnonzero(lungs.any(axis=(1, 2))):
        shut = closed(lungs[z], radius)
        numbered, count = holes(shut)
        areas = np.bincount(numbered.ravel(), minlength=count + 1) * pixel_mm2
        small = areas <= VESSEL_AREA_MM2
        small[0] = False
        lungs[z] = (shut | small[numbered]) & body[z] & ~airways[z]
    return lungs


def _lung_components(
    hu: NDArray[np.int16], air: Mask, spacing_mm: tuple[float, float, float]
) -> Mask:
    numbered, count = label(air)
    volume_ml = np.bincount(numbered[air], minlength=count + 1) * _voxel_ml(spacing_mm)
    volume_ml[0] = 0.0
    is_cut = np.zeros(count + 1, dtype=bool)
    is_cut[np.unique(numbered[-1])] = True
    keep = (volume_ml >= WHOLE_ML) | (is_cut & (volume_ml >= CUT_ML))
    keep &= volume_ml >= LARGEST_SHARE * volume_ml.max()
    keep &= _core_mean_hu(hu, air, numbered, count) > GAS_HU
    keep[0] = False
    return np.asarray(keep[numbered], dtype=bool)


def _core_mean_hu(
    hu: NDArray[np.int16], air: Mask, numbered: NDArray[np.int32], count: int
) -> NDArray[np.float64]:
    """Mean HU of each component without its edge; NaN where all of it is edge."""
    sums = np.zeros(count + 1)
    voxels = np.zeros(count + 1)
    for z in range(hu.shape[0]):
        core = erode(air[z], 1)
        index = numbered[z][core]
        sums += np.bincount(index, weights=hu[z][core], minlength=count + 1)
        voxels += np.bincount(index, minlength=count + 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / voxels)


def _voxel_ml(spacing_mm: tuple[float, float, float]) -> float:
    return float(np.prod(spacing_mm)) / 1000.0

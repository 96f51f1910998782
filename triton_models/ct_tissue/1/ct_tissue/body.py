"""The patient without the couch."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ct_tissue.morphology import Mask, filled, label, opened, radius_px

SKIN_HU: Final = -500
"""Mid-point between air and skin."""

OPENING_MM: Final = 3.0
"""Couch shells, sheets and tubes are thinner than twice this."""

COARSE_MM: Final = 2.0
"""Grid on which components are found; finer than anything the opening leaves."""

LIMB_SHARE: Final = 0.01
LIMB_BONE_ML: Final = 1.0
LIMB_BONE_HU: Final = 200
"""A part beside the trunk is a limb if it is large enough and holds bone."""


def body_mask(hu: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> Mask:
    """Mark the body, lungs and every other cavity included.

    Args:
        hu: Hounsfield units, (z, y, x).
        spacing_mm: Millimetres between voxels, (z, y, x).

    Returns:
        Mask of the same shape; empty if nothing is denser than air.
    """
    radius = radius_px(OPENING_MM, max(spacing_mm[1:]))
    solid = np.empty(hu.shape, dtype=bool)
    for z in range(hu.shape[0]):
        solid[z] = opened(hu[z] > SKIN_HU, radius)
    step = tuple(max(1, int(COARSE_MM / pixel)) for pixel in spacing_mm[1:])
    coarse = np.ascontiguousarray(solid[:, :: step[0], :: step[1]])
    chosen = _patient(coarse, hu[:, :: step[0], :: step[1]], spacing_mm, step)
    for z in range(hu.shape[0]):
        solid[z] = filled(_touching(solid[z], chosen[z], step))
    return solid


def _patient(
    coarse: Mask,
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
    step: tuple[int, ...],
) -> Mask:
    """Keep the largest component and limbs beside it."""
    numbered, count = label(coarse)
    if count == 0:
        return coarse
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    sizes[0] = 0
    bone = np.bincount(numbered[coarse & (hu > LIMB_BONE_HU)], minlength=count + 1)
    voxel_ml = float(np.prod(spacing_mm)) * step[0] * step[1] / 1000.0
    keep = (sizes >= LIMB_SHARE * sizes.max()) & (bone * voxel_ml >= LIMB_BONE_ML)
    keep[int(sizes.argmax())] = True
    keep[0] = False
    return np.asarray(keep[numbered], dtype=bool)


def _touching(mask: Mask, chosen: Mask, step: tuple[int, ...]) -> Mask:
    """Keep the parts of a slice that a chosen coarse voxel lies in."""
    numbered, count = label(mask)
    keep = np.zeros(count + 1, dtype=bool)
    keep[numbered[:: step[0], :: step[1]][chosen]] = True
    keep[0] = False
    return np.asarray(keep[numbered], dtype=bool)

"""From Hounsfield units to one label a voxel."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ct_tissue.airways import airway_mask
from ct_tissue.body import body_mask
from ct_tissue.bone import bone_mask
from ct_tissue.labels import Label
from ct_tissue.lungs import air_mask, lung_mask
from ct_tissue.morphology import Mask, bounding_box, dilate

FAT_HU: Final = (-190, -30)
SOFT_TISSUE_HU: Final = (-29, 150)
"""Ranges of CT body composition; both ends belong to the range."""

AIR_REACH_PX: Final = 2


def segment(hu: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Label each voxel of a trunk CT.

    Args:
        hu: Hounsfield units, (z, y, x); z to the head, y to the back, x to the
            patient's left.
        spacing_mm: Millimetres between voxels, (z, y, x).

    Returns:
        Values of `Label`, same shape; all zero if there is no body.
    """
    labelmap = np.zeros(hu.shape, dtype=np.uint8)
    body = body_mask(hu, spacing_mm)
    if not body.any():
        return labelmap
    box = bounding_box(body, margin=1)
    labelmap[box] = _segment_body(np.ascontiguousarray(hu[box]), body[box].copy(), spacing_mm)
    return labelmap


def _segment_body(
    hu: NDArray[np.int16], body: Mask, spacing_mm: tuple[float, float, float]
) -> NDArray[np.uint8]:
    air = air_mask(hu, body)
    airways = airway_mask(hu, air, body, spacing_mm)
    lungs = lung_mask(hu, air, airways, body, spacing_mm)
    if not lungs.any():
        airways[:] = False
    bone = bone_mask(hu, body, spacing_mm) & ~lungs & ~airways
    labelmap = np.where(body, np.uint8(Label.OTHER), np.uint8(Label.OUTSIDE))
    for z in range(hu.shape[0]):
        _label_by_range(hu[z], body[z], lungs[z] | airways[z], labelmap[z])
    labelmap[bone] = Label.BONE
    labelmap[lungs] = Label.LUNGS
    labelmap[airways] = Label.AIRWAYS
    return labelmap


def _label_by_range(
    hu: NDArray[np.int16], body: Mask, aerated: Mask, labelmap: NDArray[np.uint8]
) -> None:
    """Label fat and soft tissue of a slice, in place.

    Where soft tissue meets lung its edge voxels pass through the range of fat;
    there they stay `Label.OTHER`.
    """
    near_air = dilate(aerated, AIR_REACH_PX) if aerated.any() else aerated
    fat = body & (hu >= FAT_HU[0]) & (hu <= FAT_HU[1]) & ~near_air
    labelmap[fat] = Label.FAT
    soft = body & (hu >= SOFT_TISSUE_HU[0]) & (hu <= SOFT_TISSUE_HU[1])
    labelmap[soft] = Label.SOFT_TISSUE

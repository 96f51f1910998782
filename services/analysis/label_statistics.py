"""Counts, sums and edge contacts of each label, in one pass over the slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PADDING_HU: Final = -1500
"""Below this a voxel was never scanned: scanners fill the corners outside the scan circle."""


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """Statistics of each label value; the last axis of each array is the label.

    Attributes:
        voxels: Voxels per slice, (z, label).
        sum_hu: Sum of HU, (label).
        sum_hu2: Sum of squared HU, (label).
        border_mm2: Area in which a label meets the image border or the scan circle, (label).
        spacing_mm: Distance of voxel centres along z, y, x.
    """

    voxels: NDArray[np.int64]
    sum_hu: NDArray[np.float64]
    sum_hu2: NDArray[np.float64]
    border_mm2: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def pixel_mm2(self) -> float:
        """Area of a voxel in its slice."""
        return self.spacing_mm[1] * self.spacing_mm[2]


def label_statistics(
    labelmap: NDArray[np.uint8],
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
    highest: int,
) -> LabelStatistics:
    """Gather the statistics of labels 0 to `highest`.

    Args:
        labelmap: Values up to `highest`, (z, y, x).
        hu: Hounsfield units, same shape.
        spacing_mm: Distance of voxel centres along z, y, x.
        highest: Highest label.
    """
    size = highest + 1
    voxels = np.zeros((labelmap.shape[0], size), dtype=np.int64)
    sums, squares, border = np.zeros(size), np.zeros(size), np.zeros(size)
    for z in range(labelmap.shape[0]):
        index, level = labelmap[z].ravel(), hu[z].ravel().astype(np.float64)
        voxels[z] = np.bincount(index, minlength=size)
        sums += np.bincount(index, weights=level, minlength=size)
        squares += np.bincount(index, weights=level * level, minlength=size)
        border += _border_mm2(labelmap[z], hu[z], spacing_mm, size)
    return LabelStatistics(voxels, sums, squares, border, spacing_mm)


def _border_mm2(
    labels: NDArray[np.uint8],
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
    size: int,
) -> NDArray[np.float64]:
    z_mm, y_mm, x_mm = spacing_mm
    rows = np.concatenate((labels[0], labels[-1]))
    columns = np.concatenate((labels[:, 0], labels[:, -1]))
    area = np.bincount(rows, minlength=size) * x_mm * z_mm
    area = area + np.bincount(columns, minlength=size) * y_mm * z_mm
    padding = hu < PADDING_HU
    if padding.any():
        for low, high in ((labels[1:], padding[:-1]), (labels[:-1], padding[1:])):
            area = area + np.bincount(low[high], minlength=size) * x_mm * z_mm
        for low, high in ((labels[:, 1:], padding[:, :-1]), (labels[:, :-1], padding[:, 1:])):
            area = area + np.bincount(low[high], minlength=size) * y_mm * z_mm
    return np.asarray(area, dtype=np.float64)

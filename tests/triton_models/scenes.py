"""A small trunk made of elliptic cylinders, sampled at voxel centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHAPE = (60, 160, 220)
SPACING_MM = (3.0, 2.0, 2.0)
VOXEL_ML = 3.0 * 2.0 * 2.0 / 1000.0

Bool = NDArray[np.bool_]


class Trunk:
    """A trunk of fat and muscle in air; shapes are added in millimetres from its centre."""

    def __init__(self) -> None:
        z, y, x = np.indices(SHAPE, dtype=np.float32)
        self.z = (z - (SHAPE[0] - 1) / 2) * SPACING_MM[0]
        self.y = (y - (SHAPE[1] - 1) / 2) * SPACING_MM[1]
        self.x = (x - (SHAPE[2] - 1) / 2) * SPACING_MM[2]
        self.hu: NDArray[np.int16] = np.full(SHAPE, -1000, dtype=np.int16)
        self.body = self.add(-100, self.cylinder(0, 0, 170, 110))
        self.add(50, self.cylinder(0, 0, 155, 95))

    def cylinder(self, x: float, y: float, radius_x: float, radius_y: float) -> Bool:
        """Mark an elliptic cylinder along z."""
        return np.asarray(((self.x - x) / radius_x) ** 2 + ((self.y - y) / radius_y) ** 2 <= 1)

    def add(self, hu: int, mask: Bool) -> Bool:
        """Give a shape a level and return it."""
        self.hu[mask] = hu
        return mask

    def lungs(self) -> Bool:
        """Add two lungs that end inside the volume."""
        inside = np.abs(self.z) < 70
        both = self.cylinder(-75, -5, 50, 70) | self.cylinder(75, -5, 50, 70)
        return self.add(-850, both & inside)

    def noise(self, sd_hu: float, seed: int = 0) -> None:
        """Add Gaussian noise."""
        noise = np.random.default_rng(seed).normal(0.0, sd_hu, SHAPE)
        self.hu = np.clip(self.hu + noise, -1024, 3071).astype(np.int16)


def volume_ml(mask: Bool) -> float:
    """Volume of a mask on the grid of the trunk."""
    return float(np.count_nonzero(mask)) * VOXEL_ML

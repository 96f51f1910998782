"""Whether a volume is one that ct_tissue is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.analysis.measurement import Refusal

MIN_SLICES: Final = 10
MIN_EXTENT_MM: Final = 30.0
PIXEL_RANGE_MM: Final = (0.2, 5.0)
SLICE_RANGE_MM: Final = (0.2, 10.0)
AIR_HU: Final = -500
TISSUE_HU: Final = -200
"""Every CT holds voxels of air below the first and of tissue above the second."""


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What is known of a series besides its voxels.

    Attributes:
        modality: Modality (0008,0060).
        axial: Whether the slices were acquired across the body.
        hounsfield: Whether rescale was applied.
        fault: Why conversion found the series unusable, if it did.
    """

    modality: str
    axial: bool
    hounsfield: bool
    fault: Refusal | None = None


def check_series(facts: SeriesFacts) -> Refusal | None:
    """Return why the series is outside what the model is for, None if it is not."""
    if facts.modality != "CT":
        return Refusal("NOT_CT", "Only CT series can be measured; this series is not CT.")
    if facts.fault is not None:
        return facts.fault
    if not facts.axial:
        return Refusal("NOT_AXIAL", "The slices do not run across the body; send an axial series.")
    if not facts.hounsfield:
        return Refusal(
            "NOT_HOUNSFIELD",
            "The images do not say how their values become Hounsfield units.",
        )
    return None


def check_volume(hu: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> Refusal | None:
    """Return why the voxels are outside what the model is for, None if they are not.

    Args:
        hu: Voxel values, (z, y, x).
        spacing_mm: Distance of voxel centres along z, y, x.
    """
    z_mm, y_mm, x_mm = spacing_mm
    slices, extent_mm = hu.shape[0], hu.shape[0] * z_mm
    if not (
        _within(z_mm, SLICE_RANGE_MM) and all(_within(p, PIXEL_RANGE_MM) for p in (y_mm, x_mm))
    ):
        return Refusal(
            "IMPLAUSIBLE_SPACING",
            f"The distances between voxels ({z_mm:.2f} x {y_mm:.2f} x {x_mm:.2f} mm) are not those "
            "of a CT that can be measured.",
        )
    if slices < MIN_SLICES or extent_mm < MIN_EXTENT_MM:
        return Refusal(
            "TOO_FEW_SLICES",
            f"The series has {slices} slices over {extent_mm:.0f} mm; at least {MIN_SLICES} slices "
            f"over {MIN_EXTENT_MM:.0f} mm are needed.",
        )
    low, high = int(hu.min()), int(hu.max())
    if low > AIR_HU or high < TISSUE_HU:
        return Refusal(
            "IMPLAUSIBLE_HU",
            f"Values from {low} to {high} are not Hounsfield units of a body in air; the rescale "
            "was probably not applied.",
        )
    return None


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]

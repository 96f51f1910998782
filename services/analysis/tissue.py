"""Volumes and mean HU of the structures that ct_tissue labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.analysis.label_statistics import LabelStatistics, label_statistics
from services.analysis.measurement import (
    HOUNSFIELD,
    MILLILITRE,
    Evidence,
    Measurement,
    Refusal,
    Value,
)
from services.analysis.structures import (
    BODY,
    FAT,
    HIGHEST_LABEL,
    LUNGS,
    MEASURED,
    SOFT_TISSUE,
    Structure,
)

LEAST_ML: Final = 0.5
LEAST_VOXELS: Final = 20
"""Less than this of a structure is not a finding of it."""

CUT_OFF_MM2: Final = 500.0
"""Contact with the image border up to this is skin that grazes it."""

END_SLICE_MM2: Final = 100.0
"""Contact of the lungs with the first or last slice up to this is a tip that just fits."""

_WHOLE_BODY: Final = frozenset({BODY.name, FAT.name, SOFT_TISSUE.name})
"""Structures that lose volume wherever the body is cut off."""

_QUANTITIES: Final = (
    ("volume", "Volume", MILLILITRE),
    ("mean_hu", "Mean CT number", HOUNSFIELD),
    ("sd_hu", "Standard deviation of the CT number", HOUNSFIELD),
)


@dataclass(frozen=True, slots=True)
class Extent:
    """What was seen of one structure.

    Attributes:
        voxels: Number of voxels.
        volume_ml: Their volume.
        mean_hu: Mean CT number; NaN without voxels.
        sd_hu: Standard deviation over the voxels; NaN without voxels.
        slices: First and last slice, from 1, towards the head; None without voxels.
        slice_count: Slices of the volume.
        border_mm2: Contact with the image border or scan circle.
        first_mm2: Area in the first slice.
        last_mm2: Area in the last slice.
    """

    voxels: int
    volume_ml: float
    mean_hu: float
    sd_hu: float
    slices: tuple[int, int] | None
    slice_count: int
    border_mm2: float
    first_mm2: float
    last_mm2: float


def measure(
    labelmap: NDArray[np.uint8],
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
) -> list[Measurement]:
    """Measure each structure.

    Volumes are those of the scanned range: body, bone, fat and soft tissue go on beyond it.

    Args:
        labelmap: Labels of ct_tissue, (z, y, x), z to the head.
        hu: Hounsfield units, same shape.
        spacing_mm: Distance of voxel centres along z, y, x.

    Returns:
        Volume in mL, mean and standard deviation in HU of each structure, in the order of
        `MEASURED`.
    """
    statistics = label_statistics(labelmap, hu, spacing_mm, HIGHEST_LABEL)
    body = extent_of(BODY, statistics)
    return [
        measurement
        for structure in MEASURED
        for measurement in _measured(structure, extent_of(structure, statistics), body)
    ]


def extent_of(structure: Structure, statistics: LabelStatistics) -> Extent:
    """Sum up the labels of a structure."""
    labels = list(structure.labels)
    per_slice = statistics.voxels[:, labels].sum(axis=1)
    voxels = int(per_slice.sum())
    mean = float(statistics.sum_hu[labels].sum()) / voxels if voxels else math.nan
    square = float(statistics.sum_hu2[labels].sum()) / voxels if voxels else math.nan
    where = np.flatnonzero(per_slice)
    return Extent(
        voxels=voxels,
        volume_ml=voxels * statistics.voxel_ml,
        mean_hu=mean,
        sd_hu=math.sqrt(max(square - mean * mean, 0.0)) if voxels else math.nan,
        slices=(int(where[0]) + 1, int(where[-1]) + 1) if voxels else None,
        slice_count=len(per_slice),
        border_mm2=float(statistics.border_mm2[labels].sum()),
        first_mm2=float(per_slice[0]) * statistics.pixel_mm2,
        last_mm2=float(per_slice[-1]) * statistics.pixel_mm2,
    )


def refusal_of(structure: Structure, extent: Extent, body: Extent) -> Refusal | None:
    """Return why nothing may be said of a structure, None if it may."""
    name = structure.display_name.lower()
    if extent.voxels < LEAST_VOXELS or extent.volume_ml < LEAST_ML:
        return Refusal("NOT_FOUND", f"Not found in the scanned range: {name}.")
    if structure.name in _WHOLE_BODY and body.border_mm2 > CUT_OFF_MM2:
        return Refusal(
            "CUT_OFF_IN_PLANE",
            f"The body reaches the edge of the image, so part of it is missing: {name}.",
        )
    if extent.border_mm2 > CUT_OFF_MM2:
        return Refusal(
            "CUT_OFF_IN_PLANE",
            f"The structure reaches the edge of the image, so part of it is missing: {name}.",
        )
    if structure.name == LUNGS.name and max(extent.first_mm2, extent.last_mm2) > END_SLICE_MM2:
        return Refusal(
            "CUT_OFF_IN_Z",
            "The lungs reach the first or last slice, so the scan does not hold all of them.",
        )
    return None


def _measured(structure: Structure, extent: Extent, body: Extent) -> list[Measurement]:
    refusal = refusal_of(structure, extent, body)
    evidence = _evidence(extent)
    numbers = (extent.volume_ml, extent.mean_hu, extent.sd_hu)
    return [
        Measurement(
            name=f"{structure.name}.{quantity}",
            display_name=f"{display_name}: {structure.display_name}",
            structure=structure.name,
            outcome=refusal or Value(number, unit),
            evidence=evidence,
        )
        for (quantity, display_name, unit), number in zip(_QUANTITIES, numbers, strict=True)
    ]


def _evidence(extent: Extent) -> tuple[Evidence, ...]:
    facts = [Evidence("voxel_count", str(extent.voxels))]
    if extent.slices is not None:
        first, last = extent.slices
        facts.append(Evidence("slices", f"{first} to {last} of {extent.slice_count}"))
        facts.append(Evidence("touches_first_slice", _yes(first == 1)))
        facts.append(Evidence("touches_last_slice", _yes(last == extent.slice_count)))
        facts.append(Evidence("border_contact", f"{extent.border_mm2:.0f} mm2"))
    return tuple(facts)


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"

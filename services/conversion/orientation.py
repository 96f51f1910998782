"""Directions in the patient, from direction cosines (PS3.3 C.7.6.2.1.1, LPS)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Final

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

_MAX_ANGLE_DEGREES: Final = 30.0


class Plane(Enum):
    """The anatomical plane nearest to a slice."""

    UNKNOWN = "unknown"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"
    OBLIQUE = "oblique"


_BY_AXIS: Final = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)


def slice_normal(orientation: Sequence[float]) -> Vector:
    """Return the unit normal, (3,), LPS, of slices with these direction cosines, (6,).

    Raises:
        ValueError: The cosines are not two finite unit vectors at right angles, within 1e-2.
    """
    cosines = np.asarray(orientation, dtype=np.float64)
    if cosines.shape != (6,) or not np.isfinite(cosines).all():
        raise ValueError("six finite direction cosines")
    row, column = cosines[:3], cosines[3:]
    lengths = (float(np.linalg.norm(row)), float(np.linalg.norm(column)))
    if any(abs(length - 1) > 1e-2 for length in lengths) or abs(float(row @ column)) > 1e-2:
        raise ValueError("two unit vectors at right angles")
    normal = np.cross(row, column)
    unit: Vector = normal / np.linalg.norm(normal)
    return unit


def nearest_plane(orientation: Sequence[float]) -> Plane:
    """Return the plane of slices with these direction cosines, (6,); unknown if invalid."""
    try:
        normal = np.abs(slice_normal(orientation))
    except ValueError:
        return Plane.UNKNOWN
    axis = int(np.argmax(normal))
    angle = math.degrees(math.acos(min(1.0, float(normal[axis]))))
    return _BY_AXIS[axis] if angle <= _MAX_ANGLE_DEGREES else Plane.OBLIQUE

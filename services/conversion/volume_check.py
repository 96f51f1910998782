"""Is what the converter wrote the volume that the slices said? Asked after converting.

The converter's exit code says nothing about it, so the header it wrote is compared with the
geometry of the slices. DICOM is LPS, NIfTI is RAS.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.conversion.geometry import Stack
from services.conversion.series import Refusal

Array = npt.NDArray[np.float64]

_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0])
_SPACING_TOLERANCE: Final = 0.01
_CORNER_TOLERANCE_VOXELS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Grid:
    """Header of a written volume.

    Attributes:
        shape: Voxels along (i, j, k), and further axes if any.
        affine: Voxel indices to RAS millimetres, (4, 4).
        missing_bytes: Bytes that the header promises and the file lacks.
    """

    shape: tuple[int, ...]
    affine: Array
    missing_bytes: int

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of voxel centres along (i, j, k) in mm."""
        i, j, k = (float(np.linalg.norm(self.affine[:3, axis])) for axis in range(3))
        return i, j, k


def check_grid(grid: Grid, stack: Stack | None) -> Refusal | None:
    """Return why the written volume cannot be trusted; None when it can.

    Args:
        grid: What was written.
        stack: The slices it was made of; None where only the tool knows them (mosaics).
    """
    return _sound(grid) or (_agrees(grid, stack) if stack is not None else None)


def _sound(grid: Grid) -> Refusal | None:
    if len(grid.shape) != 3 or min(grid.shape) < 1:
        return Refusal("MULTIPLE_VOLUMES", "The series holds several volumes, not one.")
    if grid.missing_bytes:
        return Refusal("TRUNCATED_VOLUME", "The converted volume is shorter than it should be.")
    if not np.isfinite(grid.affine).all() or min(grid.spacing_mm) <= 0:
        return Refusal("INVALID_AFFINE", "The converted volume has no valid position in space.")
    if abs(float(np.linalg.det(grid.affine[:3, :3]))) < 1e-3 * float(np.prod(grid.spacing_mm)):
        return Refusal("INVALID_AFFINE", "The converted volume's axes do not span a space.")
    return None


def _agrees(grid: Grid, stack: Stack) -> Refusal | None:
    if _shape_differs(grid, stack):
        return Refusal(
            "VOLUME_DIFFERS", "The converted volume does not have the size of the images."
        )
    row_mm, column_mm = stack.slices[0].spacing_mm
    expected = np.array([column_mm, row_mm, stack.step_mm])
    if float(np.abs(np.array(grid.spacing_mm) / expected - 1).max()) > _SPACING_TOLERANCE:
        return Refusal(
            "VOLUME_DIFFERS", "The converted volume does not have the spacing of the images."
        )
    if stack.tilt_degrees < 0.3 and not _same_corners(grid, stack):
        return Refusal("VOLUME_DIFFERS", "The converted volume does not lie where the images do.")
    return None


def _shape_differs(grid: Grid, stack: Stack) -> bool:
    first = stack.slices[0]
    expected = (first.columns, first.rows, len(stack.slices))
    if stack.tilt_degrees < 0.3:
        return grid.shape != expected
    # Straightening a tilted stack makes its images taller and keeps everything else.
    return grid.shape[::2] != expected[::2] or grid.shape[1] < expected[1]


def _same_corners(grid: Grid, stack: Stack) -> bool:
    """Whether the outer voxel centres lie where the corner pixels of the slices do."""
    written = _corners(grid.shape) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    expected = _slice_corners(stack)
    apart = np.linalg.norm(written[:, None] - expected[None], axis=2).min(axis=1)
    return bool((apart <= _CORNER_TOLERANCE_VOXELS * min(grid.spacing_mm)).all())


def _corners(shape: tuple[int, ...]) -> Array:
    ends = [(0.0, size - 1.0) for size in shape]
    return np.array(list(itertools.product(*ends)), dtype=np.float64)


def _slice_corners(stack: Stack) -> Array:
    """Corner pixel centres of the first and last slice, (8, 3), RAS, mm (PS3.3 C.7.6.2.1.1)."""
    first = stack.slices[0]
    cosines = np.array(first.orientation, dtype=np.float64)
    right = cosines[:3] * first.spacing_mm[1] * (first.columns - 1)
    down = cosines[3:] * first.spacing_mm[0] * (first.rows - 1)
    corners = [
        position + along * right + below * down
        for position in (stack.positions[0], stack.positions[-1])
        for along in (0, 1)
        for below in (0, 1)
    ]
    return np.array(corners) @ _LPS_TO_RAS

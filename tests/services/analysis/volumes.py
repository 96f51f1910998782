"""Small volumes of the analysis tests."""

from __future__ import annotations

import gzip
from typing import Any

import nibabel as untyped_nibabel
import numpy as np
from numpy.typing import NDArray

nibabel: Any = untyped_nibabel

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def packed_nifti(
    array: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    slope: float | None = None,
    intercept: float | None = None,
) -> bytes:
    """Gzip an array (i, j, k) as NIfTI-1, values stored as they are."""
    image = nibabel.Nifti1Image(array, affine, dtype=array.dtype)
    raw = bytearray(image.to_bytes())
    if slope is not None:
        raw[112:120] = np.array([slope, intercept or 0.0], dtype="<f4").tobytes()
    return gzip.compress(bytes(raw), 1, mtime=0)


def packed_volume(hu: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> bytes:
    """Pack a volume (z, y, x) in LPS as dcm2niix does: stored from the patient's right and back."""
    z_mm, y_mm, x_mm = spacing_mm
    affine = np.diag([-x_mm, y_mm, z_mm, 1.0])
    return packed_nifti(np.ascontiguousarray(hu.transpose(2, 1, 0)[:, ::-1, :]), affine)

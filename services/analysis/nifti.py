"""NIfTI-1 in and out of the axes that models take: (z, y, x) in LPS."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from typing import Any, Final, Self

import nibabel as untyped_nibabel
import numpy as np
from numpy.typing import NDArray

nibabel: Final[Any] = untyped_nibabel  # It ships annotations for some of its functions only.

HEADER_BYTES: Final = 348
COMPRESSION: Final = 4
_WORLD_AXES: Final = (2, 1, 0)
_WORLD_SIGNS: Final = (1, -1, -1)
"""z runs to the head, y to the back, x to the patient's left; NIfTI's world is RAS+."""


class NiftiError(Exception):
    """The bytes are not a NIfTI volume that can be read; the text says why, without data."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How array axes (i, j, k) of a file map to (z, y, x) in LPS.

    Attributes:
        axes: For z, y, x: which axis of the file it is.
        flips: For z, y, x: whether it runs the other way.
    """

    axes: tuple[int, ...]
    flips: tuple[bool, ...]

    @classmethod
    def of(cls, affine: NDArray[np.float64]) -> Self:
        """Find the nearest axes of an affine from (i, j, k) to RAS+ millimetres.

        Raises:
            NiftiError: The affine is not invertible.
        """
        found = nibabel.orientations.io_orientation(affine)
        if not np.isfinite(found).all():
            raise NiftiError("the affine is not invertible")
        axes = tuple(int(np.flatnonzero(found[:, 0] == world)[0]) for world in _WORLD_AXES)
        signs = zip(axes, _WORLD_SIGNS, strict=True)
        return cls(axes, tuple(bool(found[axis, 1] != sign) for axis, sign in signs))

    def to_model(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of a file's array (i, j, k) as (z, y, x)."""
        return array.transpose(self.axes)[self._steps()]

    def to_file(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of an array (z, y, x) as the file's (i, j, k)."""
        back = tuple(int(axis) for axis in np.argsort(self.axes))
        return array[self._steps()].transpose(back)

    def _steps(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else None) for flip in self.flips)


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume in the axes that models take.

    Attributes:
        voxels: int16, (z, y, x), contiguous; z to the head, y to the back, x to the left.
        spacing_mm: Distance of voxel centres along z, y, x.
        affine: Of the file: (i, j, k) to RAS+ millimetres, (4, 4).
        orientation: From the file's axes to these.
    """

    voxels: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    orientation: Orientation


def read_volume(data: bytes, *, max_voxels: int) -> Volume:
    """Read a gzipped NIfTI-1 volume.

    Values are scaled as the header says, rounded and clipped to int16.

    Args:
        data: The file.
        max_voxels: More voxels than this are refused before they are unpacked.

    Raises:
        NiftiError: Not gzip, not NIfTI-1, not three-dimensional, too large, cut off, or of a type
            that is not numbers.
    """
    unpack = zlib.decompressobj(wbits=31)
    try:
        head = unpack.decompress(data, HEADER_BYTES)
        if len(head) < HEADER_BYTES:
            raise NiftiError("the file is cut off")
        header = nibabel.Nifti1Header(head, check=True)
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
        _check(shape, dtype, max_voxels)
        offset, count = int(header.get_data_offset()), int(np.prod(shape))
        end = offset + count * dtype.itemsize
        body = unpack.decompress(unpack.unconsumed_tail, end - HEADER_BYTES)
    except (zlib.error, nibabel.spatialimages.HeaderDataError, ValueError) as error:
        raise NiftiError(f"not a gzipped NIfTI-1 file: {type(error).__name__}") from None
    if len(body) < end - HEADER_BYTES:
        raise NiftiError("the file is cut off")
    stored = np.frombuffer(body, dtype, count, offset - HEADER_BYTES).reshape(shape, order="F")
    affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    orientation = Orientation.of(affine)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    z, y, x = (float(lengths[axis]) for axis in orientation.axes)
    voxels = _as_int16(orientation.to_model(stored), *header.get_slope_inter())
    return Volume(voxels, (z, y, x), affine, orientation)


def write_labelmap(labelmap: NDArray[np.uint8], volume: Volume) -> bytes:
    """Write a label map on the grid of a volume.

    Args:
        labelmap: uint8, (z, y, x), of the volume's shape.
        volume: Where it comes from; nothing of its file but the affine is taken over.

    Returns:
        Gzipped NIfTI-1; the same labels and grid give the same bytes.
    """
    image = nibabel.Nifti1Image(volume.orientation.to_file(labelmap), volume.affine)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), COMPRESSION, mtime=0)


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], max_voxels: int) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise NiftiError("the volume does not have three axes")
    if int(np.prod(shape, dtype=object)) > max_voxels:
        raise NiftiError("the volume has too many voxels")
    if dtype.kind not in "iuf":
        raise NiftiError("the voxels are not plain numbers")


def _as_int16(
    stored: NDArray[Any], slope: float | None, intercept: float | None
) -> NDArray[np.int16]:
    slope, intercept = slope or 1.0, intercept or 0.0
    if stored.dtype.kind == "i" and stored.dtype.itemsize == 2 and (slope, intercept) == (1, 0):
        return np.ascontiguousarray(stored, dtype=np.int16)
    voxels = np.empty(stored.shape, dtype=np.int16)
    bounds = np.iinfo(np.int16)
    for z in range(stored.shape[0]):
        scaled = stored[z].astype(np.float64) * slope + intercept
        if not np.isfinite(scaled).all():
            raise NiftiError("a voxel is not a finite number")
        voxels[z] = np.rint(np.clip(scaled, bounds.min, bounds.max))
    return voxels

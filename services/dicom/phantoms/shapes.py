"""Solids with a volume in closed form, and the share of each voxel that they fill.

Coordinates are patient coordinates in mm: x to the patient's left, y to the back, z to the
head (PS3.3 C.7.6.2.1.1). Arrays are ordered (z, y, x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Lower and upper bound along z, y, x in mm."""
Test = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], Mask]

_SUBSAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Grid:
    """Edges of the voxels along each axis in mm, each one longer than the voxels are many."""

    z: NDArray[np.float64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along z, y, x."""
        return len(self.z) - 1, len(self.y) - 1, len(self.x) - 1


@dataclass(frozen=True, slots=True)
class Coverage:
    """Share of each voxel that a shape fills, 0 to 1, in the part of the grid that it meets."""

    where: tuple[slice, slice, slice]
    share: Array


class Shape(Protocol):
    """A solid."""

    def volume_mm3(self) -> float:
        """Exact volume."""
        ...

    def coverage(self, grid: Grid) -> Coverage:
        """Share of each voxel of a grid that lies inside."""
        ...


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid with axes along x, y, z, cut off below ``z_low``."""

    centre: tuple[float, float, float]
    semi_axes: tuple[float, float, float]
    z_low: float = -math.inf

    @property
    def z_range(self) -> tuple[float, float]:
        """Lowest and highest z."""
        z, c = self.centre[2], self.semi_axes[2]
        return max(z - c, self.z_low), z + c

    def volume_mm3(self) -> float:
        """Integral of the elliptic sections from the cut to the top."""
        a, b, c = self.semi_axes
        t = min(max((self.z_low - self.centre[2]) / c, -1.0), 1.0)
        return math.pi * a * b * c * ((1 - t) - (1 - t**3) / 3)

    def coverage(self, grid: Grid) -> Coverage:
        """See ``Shape``."""
        (x, y, z), (a, b, c) = self.centre, self.semi_axes

        def inside(
            zs: NDArray[np.float64], ys: NDArray[np.float64], xs: NDArray[np.float64]
        ) -> Mask:
            radius = ((xs - x) / a) ** 2 + ((ys - y) / b) ** 2 + ((zs - z) / c) ** 2
            return (radius <= 1) & (zs >= self.z_low)

        return _sampled(grid, (self.z_range, (y - b, y + b), (x - a, x + a)), inside)


@dataclass(frozen=True, slots=True)
class EllipticCylinder:
    """A cylinder along z of elliptic section; its centre may drift in x by ``slope`` per mm of z.

    By Cavalieri's principle the drift leaves the volume as it is. ``centre`` is that of the
    section at ``z_high``.
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    z_low: float
    z_high: float
    slope: float = 0.0

    def volume_mm3(self) -> float:
        """Section times height."""
        return math.pi * self.semi_axes[0] * self.semi_axes[1] * (self.z_high - self.z_low)

    def coverage(self, grid: Grid) -> Coverage:
        """See ``Shape``."""
        (x, y), (a, b) = self.centre, self.semi_axes
        drift = -self.slope * (self.z_high - self.z_low)
        low, high = x - a + min(drift, 0), x + a + max(drift, 0)

        def inside(
            zs: NDArray[np.float64], ys: NDArray[np.float64], xs: NDArray[np.float64]
        ) -> Mask:
            middle = x - self.slope * (self.z_high - zs)
            radius = ((xs - middle) / a) ** 2 + ((ys - y) / b) ** 2
            return (radius <= 1) & (zs >= self.z_low) & (zs <= self.z_high)

        box = ((self.z_low, self.z_high), (y - b, y + b), (low, high))
        return _sampled(grid, box, inside) if self.slope else _extruded(grid, box, inside)


@dataclass(frozen=True, slots=True)
class Slab:
    """A box with faces along the axes."""

    box: Box

    def volume_mm3(self) -> float:
        """Product of its edges."""
        return math.prod(high - low for low, high in self.box)

    def coverage(self, grid: Grid) -> Coverage:
        """See ``Shape``."""
        where = _slices(grid, self.box)
        z, y, x = (
            _overlap(edges[part.start : part.stop + 1], *bounds)
            for edges, part, bounds in zip((grid.z, grid.y, grid.x), where, self.box, strict=True)
        )
        share = z[:, None, None] * y[None, :, None] * x[None, None, :]
        return Coverage(where, share.astype(np.float32))


@dataclass(frozen=True, slots=True)
class TorusArc:
    """Part of a torus about a z axis, sheared in z by ``shear`` per mm of y.

    The shear leaves the volume as it is; the rest is Pappus's theorem.

    Attributes:
        centre: Of the torus.
        radius: Of the centre line.
        tube: Radius of the tube.
        half_angle: The arc reaches this far to either side of the x axis, in radians.
        side: +1 for the arc on the side of positive x, -1 for the other.
        shear: mm of z per mm of y.
    """

    centre: tuple[float, float, float]
    radius: float
    tube: float
    half_angle: float
    side: int
    shear: float

    def volume_mm3(self) -> float:
        """Area of the tube times length of the arc."""
        return math.pi * self.tube**2 * self.radius * 2 * self.half_angle

    def coverage(self, grid: Grid) -> Coverage:
        """See ``Shape``."""
        x, y, z = self.centre
        outer = self.radius + self.tube
        reach = outer * math.sin(self.half_angle)
        inner = (self.radius - self.tube) * math.cos(self.half_angle)
        low, high = sorted((x + self.side * inner, x + self.side * outer))
        rise = self.tube + abs(self.shear) * reach

        def inside(
            zs: NDArray[np.float64], ys: NDArray[np.float64], xs: NDArray[np.float64]
        ) -> Mask:
            along, across = (xs - x) * self.side, ys - y
            height = zs - z - self.shear * across
            ring = np.hypot(along, across) - self.radius
            within = np.abs(np.arctan2(across, along)) <= self.half_angle
            return within & (ring**2 + height**2 <= self.tube**2)

        box = ((z - rise, z + rise), (y - reach, y + reach), (low, high))
        return _sampled(grid, box, inside)


def _slices(grid: Grid, box: Box) -> tuple[slice, slice, slice]:
    return _slice(grid.z, *box[0]), _slice(grid.y, *box[1]), _slice(grid.x, *box[2])


def _slice(edges: NDArray[np.float64], low: float, high: float) -> slice:
    first = max(int(np.searchsorted(edges, low, "right")) - 1, 0)
    last = min(int(np.searchsorted(edges, high, "left")), len(edges) - 1)
    return slice(first, max(first, last))


def _overlap(edges: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Share of each cell between ``edges`` that lies between two bounds."""
    shared = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.clip(shared / np.diff(edges), 0, 1)


def _sampled(grid: Grid, box: Box, inside: Test) -> Coverage:
    """Look at the corners of each voxel, and more closely at those that they disagree on."""
    where = _slices(grid, box)
    z, y, x = (
        edges[part.start : part.stop + 1]
        for edges, part in zip((grid.z, grid.y, grid.x), where, strict=True)
    )
    if min(len(z), len(y), len(x)) < 2:
        return Coverage(where, np.zeros([part.stop - part.start for part in where], np.float32))
    corners = inside(z[:, None, None], y[None, :, None], x[None, None, :])
    low, high = _extremes(corners)
    share = low.astype(np.float32)
    # A shape may touch a voxel without holding a corner of it: look at the neighbours too.
    edge = np.nonzero(_dilated(high) & ~low)
    share[edge] = _subsampled((z, y, x), edge, inside)
    return Coverage(where, share)


def _extremes(corners: Mask) -> tuple[Mask, Mask]:
    """For each voxel, whether all of its corners are inside, and whether any is."""
    every, some = corners, corners
    for axis in range(corners.ndim):
        first: list[slice] = [slice(None)] * corners.ndim
        second = list(first)
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        every = every[tuple(first)] & every[tuple(second)]
        some = some[tuple(first)] | some[tuple(second)]
    return every, some


def _dilated(mask: Mask) -> Mask:
    for axis in range(mask.ndim):
        padded = np.pad(mask, [(1, 1) if i == axis else (0, 0) for i in range(mask.ndim)])
        parts = [np.take(padded, range(k, k + mask.shape[axis]), axis) for k in range(3)]
        mask = parts[0] | parts[1] | parts[2]
    return mask


def _subsampled(
    edges: tuple[NDArray[np.float64], ...], voxels: tuple[NDArray[np.intp], ...], inside: Test
) -> Array:
    offsets = (np.arange(_SUBSAMPLES) + 0.5) / _SUBSAMPLES
    z, y, x = (
        edge[index][:, None] + np.diff(edge)[index][:, None] * offsets
        for edge, index in zip(edges, voxels, strict=True)
    )
    hits = inside(z[:, :, None, None], y[:, None, :, None], x[:, None, None, :])
    share: Array = hits.mean(axis=(1, 2, 3), dtype=np.float32)
    return share


def _extruded(grid: Grid, box: Box, inside: Test) -> Coverage:
    """Coverage of a shape whose section is the same at every z: one section times heights."""
    where = _slices(grid, box)
    middle = (box[0][0] + box[0][1]) / 2
    layer = Grid(np.array([middle - 0.5, middle + 0.5]), grid.y, grid.x)
    section = _sampled(layer, ((middle - 0.5, middle + 0.5), box[1], box[2]), _at(middle, inside))
    heights = _overlap(grid.z[where[0].start : where[0].stop + 1], *box[0])
    share = heights.astype(np.float32)[:, None, None] * section.share
    return Coverage(where, share)


def _at(z: float, inside: Test) -> Test:
    def section(zs: NDArray[np.float64], ys: NDArray[np.float64], xs: NDArray[np.float64]) -> Mask:
        return inside(np.full_like(zs, z), ys, xs)

    return section

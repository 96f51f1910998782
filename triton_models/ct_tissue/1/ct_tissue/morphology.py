"""Binary morphology in the axial plane, and connected components.

Masks are bool arrays, (y, x) where a function says slice and (z, y, x) where
it says volume. Radii are in pixels. A disc is approximated by an octagon: steps
with a cross and with a square in turn, which costs a few array operations a
step and no distance transform.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]


def radius_px(radius_mm: float, pixel_mm: float) -> int:
    """Radius in whole pixels, at least 1."""
    return max(1, round(radius_mm / pixel_mm))


def dilate(mask: Mask, radius: int) -> Mask:
    """Grow a slice by an octagon; nothing lies beyond the image border."""
    for step in range(radius):
        mask = _grow_cross(mask) if step % 2 == 0 else _grow_square(mask)
    return mask


def erode(mask: Mask, radius: int) -> Mask:
    """Shrink a slice by an octagon; what touches the image border goes on beyond it."""
    return np.logical_not(dilate(np.logical_not(mask), radius))


def opened(mask: Mask, radius: int) -> Mask:
    """Remove from a slice what is narrower than twice the radius."""
    return dilate(erode(mask, radius), radius) & mask


def closed(mask: Mask, radius: int) -> Mask:
    """Close gaps of a slice that are narrower than twice the radius."""
    padded = np.pad(mask, radius)
    shut = np.logical_not(dilate(np.logical_not(dilate(padded, radius)), radius))
    return shut[radius:-radius, radius:-radius]


def holes(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Number the background regions of a slice that do not reach its border.

    Returns:
        Labels of shape (y, x), 0 where there is no hole, and the highest label.
        Labels of regions that reach the border are missing from the array.
    """
    background, count = label(np.logical_not(mask))
    edge = np.concatenate((background[0], background[-1], background[:, 0], background[:, -1]))
    keep = np.arange(count + 1, dtype=np.int32)
    keep[np.unique(edge)] = 0
    return keep[background], count


def filled(mask: Mask) -> Mask:
    """Fill every hole of a slice."""
    return mask | (holes(mask)[0] > 0)


def label(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Number face-connected components, from 1 on, in scan order."""
    numbered: Any = ndimage.label(mask)
    return numbered[0], int(numbered[1])


def bounding_box(mask: Mask, margin: int = 0) -> tuple[slice, ...]:
    """Smallest box that holds every true voxel of a non-empty mask, grown by a margin."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        where = np.flatnonzero(mask.any(axis=others))
        stop = min(int(where[-1]) + 1 + margin, mask.shape[axis])
        box.append(slice(max(int(where[0]) - margin, 0), stop))
    return tuple(box)


def _grow_cross(mask: Mask) -> Mask:
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _grow_square(mask: Mask) -> Mask:
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    grown = rows.copy()
    grown[:, 1:] |= rows[:, :-1]
    grown[:, :-1] |= rows[:, 1:]
    return grown

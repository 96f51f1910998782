"""Trachea and large bronchi: air grown down from the trachea until it leaks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ct_tissue.morphology import Mask, dilate, label, opened

COARSE_MM: Final = 1.4
SEED_HU: Final = -850
SEED_AREA_MM2: Final = (30.0, 700.0)
SEED_RUN_MM: Final = 15.0
"""A trachea is round, of this area, near the midline, over this length."""

SEED_FILL: Final = 0.5
SEED_MIDLINE: Final = (0.3, 0.7)

WALL_HU: Final = -475
"""Mid-point between the lumen (-1000) and its wall (50)."""

LADDER_START: Final = 30
LADDER_STEP: Final = 15
LADDER_STOP_HU: Final = -700
"""HU above the trachea's own level at which growth starts, its step, and its end."""

LEAK_FACTOR: Final = 1.6
LEAK_ML: Final = 3.0
MAX_ML: Final = 150.0
"""A step that adds more than this has leaked into a lung; the one before is kept."""


def airway_mask(
    hu: NDArray[np.int16], air: Mask, body: Mask, spacing_mm: tuple[float, float, float]
) -> Mask:
    """Mark the lumen of trachea and large bronchi.

    Args:
        hu: Hounsfield units, (z, y, x), z to the head.
        air: Voxels of the body on the air side of the mid-point with soft tissue.
        body: The body, cavities included.
        spacing_mm: Millimetres between voxels, (z, y, x).

    Returns:
        Mask of the same shape; empty if no trachea is found.
    """
    step = max(1, round(COARSE_MM / max(spacing_mm[1:])))
    coarse = _block_mean(hu, step)
    inside = _block_all(body, step)
    coarse_mm = (spacing_mm[0], spacing_mm[1] * step, spacing_mm[2] * step)
    seed = _trachea(coarse, inside, coarse_mm)
    if not seed.any():
        return np.zeros(hu.shape, dtype=bool)
    lumen = _grow(coarse, inside, seed, float(np.prod(coarse_mm)) / 1000.0)
    return _with_rim(hu, lumen, air, step)


def _block_mean(hu: NDArray[np.int16], step: int) -> NDArray[np.int16]:
    depth, rows, columns = hu.shape[0], hu.shape[1] // step, hu.shape[2] // step
    coarse = np.empty((depth, rows, columns), dtype=np.int16)
    for z in range(depth):
        blocks = hu[z, : rows * step, : columns * step].reshape(rows, step, columns, step)
        coarse[z] = blocks.mean(axis=(1, 3))
    return coarse


def _block_all(mask: Mask, step: int) -> Mask:
    rows, columns = mask.shape[1] // step, mask.shape[2] // step
    cut = mask[:, : rows * step, : columns * step]
    return np.asarray(cut.reshape(-1, rows, step, columns, step).all(axis=(2, 4)))


def _trachea(hu: NDArray[np.int16], inside: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Find the first run of round midline air from the head down."""
    need = max(2, round(SEED_RUN_MM / spacing_mm[0]))
    run: list[Mask] = []
    seed = np.zeros(hu.shape, dtype=bool)
    for z in range(hu.shape[0] - 1, -1, -1):
        spot = _round_midline_air(hu[z], inside[z], spacing_mm)
        spot = _overlapping(spot, run[-1]) if run else spot
        if not spot.any():
            run = []
            continue
        run.append(spot)
        if len(run) >= need:
            for offset, area in enumerate(run):
                seed[z + len(run) - 1 - offset] = area
            return seed
    return seed


def _round_midline_air(
    hu: NDArray[np.int16], inside: Mask, spacing_mm: tuple[float, float, float]
) -> Mask:
    spot = np.zeros(hu.shape, dtype=bool)
    columns = np.flatnonzero(inside.any(axis=0))
    if columns.size == 0:
        return spot
    left, width = int(columns[0]), int(columns[-1] - columns[0] + 1)
    numbered, _ = label(inside & (hu < SEED_HU))
    for index, box in enumerate(ndimage.find_objects(numbered), start=1):
        area = numbered[box] == index
        size = np.count_nonzero(area)
        middle = ((box[1].start + box[1].stop) / 2.0 - left) / width
        if (
            SEED_AREA_MM2[0] <= size * spacing_mm[1] * spacing_mm[2] <= SEED_AREA_MM2[1]
            and size >= SEED_FILL * area.size
            and SEED_MIDLINE[0] <= middle <= SEED_MIDLINE[1]
        ):
            spot[box] |= area
    return spot


def _overlapping(spot: Mask, other: Mask) -> Mask:
    numbered, count = label(spot)
    keep = np.zeros(count + 1, dtype=bool)
    keep[numbered[other]] = True
    keep[0] = False
    return np.asarray(keep[numbered], dtype=bool)


def _grow(hu: NDArray[np.int16], inside: Mask, seed: Mask, voxel_ml: float) -> Mask:
    """Raise the threshold until the region leaks; keep the last that did not."""
    level = int(np.median(hu[seed]))
    lumen, volume_ml = seed, np.count_nonzero(seed) * voxel_ml
    for threshold in range(level + LADDER_START, LADDER_STOP_HU + 1, LADDER_STEP):
        grown = _overlapping(inside & (hu < threshold), seed)
        grown_ml = np.count_nonzero(grown) * voxel_ml
        first = lumen is seed
        leaked = not first and grown_ml > LEAK_FACTOR * volume_ml + LEAK_ML
        if leaked or grown_ml > MAX_ML:
            break
        lumen, volume_ml = grown, grown_ml
    return lumen


def _with_rim(hu: NDArray[np.int16], coarse: Mask, air: Mask, step: int) -> Mask:
    """Bring the lumen to the full grid, out to the mid-point of its wall but not into lung."""
    airway = np.zeros(air.shape, dtype=bool)
    for z in np.flatnonzero(coarse.any(axis=(1, 2))):
        block = np.repeat(np.repeat(coarse[z], step, axis=0), step, axis=1)
        full = np.zeros(air.shape[1:], dtype=bool)
        full[: block.shape[0], : block.shape[1]] = block
        full &= air[z]
        lung = dilate(opened(air[z] & ~full, step), 1)
        airway[z] = full | (dilate(full, step) & air[z] & (hu[z] < WALL_HU) & ~lung)
    return airway

"""Phantoms to draw on: what a frame shows where nobody wrote anything. Values from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]


def _ellipse(size: int, centre: tuple[float, float], axes: tuple[float, float]) -> Array:
    y, x = np.mgrid[0:size, 0:size] / size
    inside: Array = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2 <= 1
    return inside


def _within(grey: Array) -> Array:
    clipped: Array = np.clip(grey, 0, 1)
    return clipped


def body_ct(size: int, rng: np.random.Generator) -> Array:
    """A slice of a trunk: lungs, spine, ribs, noise of a scanner."""
    grey = np.full((size, size), 0.02)
    grey[_ellipse(size, (0.5, 0.5), (0.42, 0.32))] = 0.5
    for side in (-1, 1):
        grey[_ellipse(size, (0.5 + side * 0.19, 0.47), (0.13, 0.2))] = 0.1
        for rib in range(5):
            place = (0.5 + side * (0.33 + 0.02 * (rib % 2)), 0.3 + 0.09 * rib)
            grey[_ellipse(size, place, (0.012, 0.03))] = 0.95
    grey[_ellipse(size, (0.5, 0.7), (0.06, 0.05))] = 0.9
    grey[_ellipse(size, (0.46, 0.52), (0.1, 0.09))] = 0.58
    grey = ndimage.gaussian_filter(grey, 0.8) + rng.normal(0, 0.02, grey.shape)
    return _within(grey)


def chest_film(size: int, rng: np.random.Generator) -> Array:
    """A frontal chest film: dark lungs under ribs, heart, diaphragm, clavicles."""
    y, x = np.mgrid[0:size, 0:size] / size
    grey = 0.55 + 0.1 * y
    for side in (-1, 1):
        lung = _ellipse(size, (0.5 + side * 0.2, 0.46), (0.15, 0.32))
        grey[lung] -= 0.33
        for rib in range(7):
            arc = np.abs(y - 0.2 - 0.085 * rib - 0.5 * (np.abs(x - 0.5) - 0.2) ** 2) < 0.011
            grey[arc & lung] += 0.09
    grey[_ellipse(size, (0.54, 0.58), (0.15, 0.14))] += 0.12
    grey[np.abs(x - 0.5) < 0.035] += 0.1
    grey = ndimage.gaussian_filter(grey, 2.0) + rng.normal(0, 0.012, grey.shape)
    return _within(grey)


def ultrasound(size: int, rng: np.random.Generator) -> Array:
    """A sector of speckle on black."""
    y, x = np.mgrid[0:size, 0:size] / size - np.array([0.06, 0.5])[:, None, None]
    radius, angle = np.hypot(x, y), np.arctan2(x, y)
    speckle = ndimage.gaussian_filter(rng.rayleigh(0.5, (size, size)), (0.8, 1.6))
    depth = np.clip(1.1 - radius, 0, 1)
    grey = np.where((np.abs(angle) < 0.6) & (radius < 0.85) & (radius > 0.08), speckle * depth, 0)
    grey[_ellipse(size, (0.45, 0.5), (0.09, 0.06)) & (grey > 0)] *= 0.15
    return _within(grey * 0.9)


def head_mr(size: int, rng: np.random.Generator) -> Array:
    """A slice of a head: scalp, skull, brain with folds, ventricles."""
    folds = ndimage.gaussian_filter(rng.normal(0, 1, (size, size)), size / 90)
    folds /= np.abs(folds).max()
    grey = np.zeros((size, size))
    grey[_ellipse(size, (0.5, 0.5), (0.36, 0.43))] = 0.85
    grey[_ellipse(size, (0.5, 0.5), (0.345, 0.415))] = 0.08
    brain = _ellipse(size, (0.5, 0.5), (0.32, 0.39))
    grey[brain] = (0.5 + 0.3 * folds)[brain]
    for side in (-1, 1):
        grey[_ellipse(size, (0.5 + side * 0.05, 0.48), (0.025, 0.1))] = 0.1
    grey = ndimage.gaussian_filter(grey, 1.0)
    return np.clip(
        np.hypot(grey + rng.normal(0, 0.02, grey.shape), rng.normal(0, 0.02, grey.shape)), 0, 1
    )


def noise(size: int, rng: np.random.Generator) -> Array:
    """Noise alone, smooth and rough."""
    rough = rng.normal(0.3, 0.05, (size, size))
    return np.clip(rough + 0.08 * ndimage.gaussian_filter(rng.normal(0, 8, (size, size)), 9), 0, 1)


BACKGROUNDS: Final[Mapping[str, Callable[[int, np.random.Generator], Array]]] = {
    "body_ct": body_ct,
    "chest_film": chest_film,
    "head_mr": head_mr,
    "noise": noise,
    "ultrasound": ultrasound,
}

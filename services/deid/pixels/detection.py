"""Finds where text stands: a network says how likely each pixel belongs to some.

The network is trained on upright text, so that a frame is looked at twice, the second time turned
by 90 degrees. A large frame is looked at in tiles, and once as a whole for large letters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from services.deid.pixels.text import Area, Picture

Likelihood = NDArray[np.float32]
Network = Callable[[NDArray[np.float32]], Likelihood]
"""Takes 3 x rows x columns from -1 to 1, sides divisible by 32; gives rows x columns."""

_TILE: Final = 1024
_OVERLAP: Final = 160
_ENLARGED: Final = 1.44
_LARGEST_ENLARGED: Final = 700
_WHOLE: Final = 768
_STEP: Final = 32
_LIKELY: Final = 0.3
_LIKELY_AS_A_WHOLE: Final = 0.4
_THINNEST: Final = 3
_GROWTH: Final = 0.5
"""The network marks the core of a line; its letters reach further by this share of its height."""
_MARGIN: Final = 3
_SAME_LINE: Final = 0.5
"""Share of both areas together that is in both."""


def text_areas(picture: Picture, network: Network) -> list[Area]:
    """Return where text may stand, in pixels of the picture.

    Args:
        picture: Rows x columns, grey.
        network: The detector.
    """
    rows, columns = picture.shape
    scale = _ENLARGED if min(rows, columns) <= _LARGEST_ENLARGED else 1.0
    found: list[Area] = []
    for turned in (False, True):
        seen = np.rot90(picture) if turned else picture
        scales = [scale]
        if max(seen.shape) * scale > _TILE:
            scales.append(min(scale, _WHOLE / max(seen.shape)))
        for one in scales:
            areas = _areas(_likelihood(seen, one, network), seen.shape)
            found += [_turned_back(area, columns) for area in areas] if turned else areas
    return _united(found)


def _united(areas: list[Area]) -> list[Area]:
    """Return the areas, those in place of each other that are of one line seen twice."""
    united: list[Area] = []
    for area in sorted(areas, key=lambda one: one.width * one.height, reverse=True):
        for number, other in enumerate(united):
            if area.overlap(other) > _SAME_LINE:
                united[number] = other.joined(area)
                break
        else:
            united.append(area)
    return united


def _turned_back(area: Area, columns: int) -> Area:
    """Return an area of a picture turned by 90 degrees as one of the picture as it was."""
    return Area(columns - area.y - area.height, area.x, area.height, area.width)


def _likelihood(picture: Picture, scale: float, network: Network) -> Likelihood:
    height, width = (max(_STEP, round(side * scale)) for side in picture.shape)
    image = Image.fromarray(np.ascontiguousarray(picture))
    scaled = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    whole = np.zeros((height, width), np.float32)
    for rows in _tiles(height):
        for columns in _tiles(width):
            tile = scaled[rows, columns] / np.float32(127.5) - np.float32(1)
            if np.ptp(tile) == 0:
                continue  # mostly what was blanked
            seen = whole[rows, columns]
            np.maximum(seen, _of_tile(tile, network), out=seen)
    return whole


def _of_tile(tile: Likelihood, network: Network) -> Likelihood:
    height, width = tile.shape
    padded = np.pad(tile, ((0, -height % _STEP), (0, -width % _STEP)), "edge")
    return network(np.stack([padded] * 3))[:height, :width]


def _tiles(length: int) -> Iterator[slice]:
    if length <= _TILE:
        yield slice(0, length)
        return
    count = -(-(length - _OVERLAP) // (_TILE - _OVERLAP))
    for number in range(count):
        start = round(number * (length - _TILE) / (count - 1))
        yield slice(start, start + _TILE)


def _areas(likelihood: Likelihood, shape: tuple[int, ...]) -> list[Area]:
    labels, _ = ndimage.label(ndimage.binary_dilation(likelihood > _LIKELY, np.ones((2, 2), bool)))
    areas = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        blob = labels[rows, columns] == number
        if min(height, width) < _THINNEST:
            continue
        if likelihood[rows, columns][blob].mean() < _LIKELY_AS_A_WHOLE:
            continue
        areas.append(_grown((rows, columns), likelihood.shape, shape))
    return areas


def _grown(place: tuple[slice, slice], scaled: tuple[int, ...], shape: tuple[int, ...]) -> Area:
    rows, columns = place
    growth = _GROWTH * min(rows.stop - rows.start, columns.stop - columns.start)
    vertical, horizontal = shape[0] / scaled[0], shape[1] / scaled[1]
    top = int((rows.start - growth) * vertical) - _MARGIN
    left = int((columns.start - growth) * horizontal) - _MARGIN
    bottom = int(np.ceil((rows.stop + growth) * vertical)) + _MARGIN
    right = int(np.ceil((columns.stop + growth) * horizontal)) + _MARGIN
    top, left = max(0, top), max(0, left)
    return Area(left, top, min(shape[1], right) - left, min(shape[0], bottom) - top)

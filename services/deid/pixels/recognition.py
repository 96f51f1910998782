"""Reads a line of text: a network gives the likelihood of each character along it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.deid.pixels.text import Area, Picture

Line = NDArray[np.float32]
Network = Callable[[Line], Line]
"""Takes 3 x 48 x columns from -1 to 1; gives steps x characters, the first of which is blank."""

_HEIGHT: Final = 48
_NARROWEST: Final = 48
_WIDEST: Final = 1440
_STEP: Final = 16
_TALL: Final = 1.5
_CERTAIN: Final = 0.9
_ENOUGH: Final = 4


def read_line(
    picture: Picture, area: Area, network: Network, characters: Sequence[str]
) -> tuple[str, float]:
    """Return the text of an area and how sure it is, in the direction that reads best.

    Args:
        picture: Rows x columns, grey.
        area: Where a line stands, in any of four directions.
        network: The recogniser.
        characters: What its outputs stand for; the first is blank.
    """
    crop = picture[area.y : area.y + area.height, area.x : area.x + area.width]
    best = ("", 0.0)
    for turns in _directions(area):
        reading = _decoded(network(_prepared(np.rot90(crop, turns))), characters)
        best = max(best, reading, key=lambda one: one[1] * min(len(one[0]), _ENOUGH))
        if best[1] > _CERTAIN and len(best[0]) >= _ENOUGH:
            break  # upside down nothing reads like this
    return best


def _directions(area: Area) -> tuple[int, ...]:
    if area.height > _TALL * area.width:
        return (1, 3)
    return (0, 2) if area.width > _TALL * area.height else (0, 1, 2, 3)


def _prepared(crop: Picture) -> Line:
    height, width = crop.shape
    scaled = min(_WIDEST, max(_NARROWEST, -(-_HEIGHT * width // height // _STEP) * _STEP))
    image = Image.fromarray(np.ascontiguousarray(crop)).resize(
        (scaled, _HEIGHT), Image.Resampling.BILINEAR
    )
    line = np.asarray(image, np.float32) / np.float32(127.5) - np.float32(1)
    return np.stack([line] * 3)


def _decoded(likelihoods: Line, characters: Sequence[str]) -> tuple[str, float]:
    """Decode greedily: repeats are one character, blanks part them (CTC)."""
    best = likelihoods.argmax(axis=1)
    fresh = (best != 0) & np.r_[True, best[1:] != best[:-1]]
    if not fresh.any():
        return "", 0.0
    text = "".join(characters[number] for number in best[fresh])
    return text.strip(), float(likelihoods.max(axis=1)[fresh].mean())

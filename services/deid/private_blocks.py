"""Private attributes that are known to be safe, found by their creator (PS3.15 E.3.10)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from services.deid.layout import Place

_BINARY_SIZES: Final = {"FL": 4, "FD": 8, "SL": 4, "SS": 2, "UL": 4, "US": 2}
_MAX_CREATOR_CHARS: Final = 64


@cache
def _safe() -> frozenset[tuple[int, str, int, str]]:
    text = files("services.deid.profile").joinpath("safe_private.tsv").read_text(encoding="utf-8")
    return frozenset(
        (int(row["group"], 16), row["creator"], int(row["element"], 16), row["vr"])
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
    )


@cache
def _vrs() -> dict[tuple[int, str, int], str]:
    return {(group, creator, element): vr for group, creator, element, vr in _safe()}


@cache
def _creators() -> frozenset[tuple[int, str]]:
    return frozenset((group, creator) for group, creator, _, _ in _safe())


class PrivateBlocks:
    """The private blocks of one data set or item.

    A block is known by its creator's name and never by its number, which any sender may choose.

    Args:
        view: The encoded data set.
        places: Of the elements of this level.
    """

    def __init__(self, view: memoryview, places: Sequence[Place]) -> None:
        self._creators: dict[int, str] = {}
        self._view = view
        for place in places:
            if place.tag >> 16 & 1 and 0x10 <= place.tag & 0xFFFF <= 0xFF:
                length = min(place.stop - place.value, _MAX_CREATOR_CHARS)
                name = bytes(view[place.value : place.value + length]).decode("latin-1")
                self._creators[place.tag >> 16 << 8 | place.tag & 0xFF] = name.strip(" \0")

    def is_safe(self, place: Place) -> bool:
        """Tell whether a private element may stay: a creator of a known block, or known in it."""
        group, element = place.tag >> 16, place.tag & 0xFFFF
        if 0x10 <= element <= 0xFF:
            return (group, self._creators.get(group << 8 | element, "")) in _creators()
        creator = self._creators.get(group << 8 | element >> 8)
        if creator is None or place.undefined:
            return False
        vr = _vrs().get((group, creator, element & 0xFF))
        return vr is not None and self._is_of(vr, place)

    def _is_of(self, vr: str, place: Place) -> bool:
        if place.vr not in (vr, "UN"):
            return False
        size = _BINARY_SIZES.get(vr)
        if size is not None:
            return (place.stop - place.value) % size == 0
        value = bytes(self._view[place.value : place.stop])
        if vr in ("DS", "IS"):
            return all(character in b"0123456789+-.eE \\\0" for character in value)
        # A code string or short name: nothing that could be a sentence or a person's name.
        return vr in ("CS", "LO", "SH") and len(value) <= 16 and b"^" not in value

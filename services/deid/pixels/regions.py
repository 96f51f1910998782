"""What an ultrasound device says is image: the rest of its frame is its own writing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from services.deid.layout import Layout, Place
from services.deid.pixels.text import Area
from services.dicom.uids import TransferSyntax

_REGIONS: Final = 0x00186011
_LEFT: Final = 0x00186018
_TOP: Final = 0x0018601A
_RIGHT: Final = 0x0018601C
_BOTTOM: Final = 0x0018601E
_EDGES: Final = (_LEFT, _TOP, _RIGHT, _BOTTOM)
_MOST: Final = 1000


def image_regions(
    layout: Layout, places: Sequence[Place], syntax: TransferSyntax, rows: int, columns: int
) -> list[Area]:
    """Return the regions of Sequence of Ultrasound Regions (PS3.3 section C.8.5.5).

    One that does not lie within the frame is cut to it; one that is empty is left out.
    """
    place = next((place for place in places if place.tag == _REGIONS and place.vr == "SQ"), None)
    if place is None:
        return []
    regions: list[Area] = []
    for begin, end in layout.items(place, 0):
        edges = _edges(layout, begin, end, syntax)
        if edges.keys() != set(_EDGES) or len(regions) == _MOST:
            continue
        right, bottom = min(columns, edges[_RIGHT] + 1), min(rows, edges[_BOTTOM] + 1)
        area = Area(edges[_LEFT], edges[_TOP], right - edges[_LEFT], bottom - edges[_TOP])
        if area.width > 0 and area.height > 0:
            regions.append(area)
    return regions


def outside(regions: Sequence[Area], rows: int, columns: int) -> list[Area]:
    """Return rectangles that cover all of a frame but its regions; none where there are none."""
    if not regions:
        return []
    edges = {0, rows}
    for region in regions:
        edges |= {region.y, region.y + region.height}
    lines = sorted(edges)
    areas: list[Area] = []
    for top, bottom in pairwise(lines):
        left = 0
        within = [r for r in regions if r.y <= top and r.y + r.height >= bottom]
        for region in sorted(within):
            if region.x > left:
                areas.append(Area(left, top, region.x - left, bottom - top))
            left = max(left, region.x + region.width)
        if left < columns:
            areas.append(Area(left, top, columns - left, bottom - top))
    return areas


def _edges(layout: Layout, begin: int, end: int, syntax: TransferSyntax) -> dict[int, int]:
    little = syntax.little_endian
    return {
        place.tag: int.from_bytes(
            layout.view[place.value : place.stop], "little" if little else "big"
        )
        for place in layout.elements(begin, end, 1)
        if place.tag in _EDGES and place.stop - place.value == 4
    }

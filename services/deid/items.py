"""Items of sequences that are known by what they hold: content items, codes and graphics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from services.deid.layout import Layout, Place
from services.deid.profile.options import Option
from services.deid.surroundings import (
    CODE_VALUE,
    CONCEPT_NAME,
    GRAPHIC_ANNOTATION,
    GRAPHIC_OBJECT,
    SCHEME,
    TEXT_OBJECT,
    Around,
    around_content,
    is_foreign,
)

_GRAPHIC_TYPE: Final = 0x00700023
_GRAPHIC_DATA: Final = 0x00700022
_SHAPES: Final = frozenset({"POINT", "CIRCLE", "ELLIPSE"})
_MOST_CORNERS: Final = 5
"""Of a polyline: an arrow or a box. With more, writing by hand could be drawn."""
_POINT_BYTES: Final = 8
_LONGEST_CODE: Final = 64
_DRAWN: Final = (TEXT_OBJECT, GRAPHIC_OBJECT)
_CONTENT: Final = frozenset(
    {
        Around.CONTENT,
        Around.DEVICE,
        Around.BIRTH_DATE,
        Around.AGE,
        Around.SEX,
        Around.CHARACTERISTIC,
    }
)
_CONTENT_ITEMS: Final = frozenset({0x0040A730, 0x0040B020, 0x00400555, 0x00400610, 0x00400612})


class Items:
    """Looks into items of one object.

    Args:
        layout: Of its data set.
        options: Of the profile.
    """

    def __init__(self, layout: Layout, options: frozenset[Option]) -> None:
        self._layout = layout
        self._options = options

    def around(self, sequence: int, places: Sequence[Place], around: Around, depth: int) -> Around:
        """Return what an item is around its elements.

        Args:
            sequence: Tag of the sequence that it is an item of.
            places: Of its elements.
            around: What the sequence is around it.
            depth: Of the item.
        """
        if around is Around.REPLACED:
            return around
        if around in _CONTENT and sequence in _CONTENT_ITEMS:
            return around_content(self._concept(places, depth), self._options)
        scheme = self._text_of(places, SCHEME)
        if scheme is not None and is_foreign(scheme):
            return Around.FOREIGN_CODE
        return around

    def is_dropped(self, sequence: int, places: Sequence[Place]) -> bool:
        """Tell whether an item is a drawing of which nothing says that it is no writing."""
        if sequence != GRAPHIC_OBJECT:
            return False
        if self._text_of(places, _GRAPHIC_TYPE) in _SHAPES:
            return False
        sizes = [place.stop - place.value for place in places if place.tag == _GRAPHIC_DATA]
        return any(size > _MOST_CORNERS * _POINT_BYTES for size in sizes)

    def is_hollow(
        self, sequence: int, places: Iterable[Place], parts: Iterable[tuple[int, object]]
    ) -> bool:
        """Tell whether all that made an item an annotation was dropped (PS3.3 C.10.5)."""
        if sequence != GRAPHIC_ANNOTATION or not any(place.tag in _DRAWN for place in places):
            return False
        return not any(part and tag in _DRAWN for tag, part in parts)

    def _concept(self, places: Sequence[Place], depth: int) -> str:
        for place in places:
            if place.tag == CONCEPT_NAME and place.vr == "SQ":
                for begin, end in self._layout.items(place, depth):
                    inner = self._layout.elements(begin, end, depth + 1)
                    return self._text_of(inner, CODE_VALUE) or ""
        return ""

    def _text_of(self, places: Iterable[Place], tag: int) -> str | None:
        for place in places:
            if place.tag == tag:
                value = self._layout.view[
                    place.value : min(place.stop, place.value + _LONGEST_CODE)
                ]
                return bytes(value).decode("latin-1").strip(" \0")
        return None

"""What a de-identified object says of how it was de-identified (PS3.15 E.1, PS3.3 C.12.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from services.deid.encode import Encoder
from services.deid.layout import Layout, Place
from services.deid.profile.options import Option, method_codes
from services.deid.profile.table import EDITION

IDENTITY_REMOVED: Final = 0x00120062
METHOD: Final = 0x00120063
METHOD_CODES: Final = 0x00120064
TEMPORAL: Final = 0x00280303
BURNED_IN: Final = 0x00280301
METHOD_TEXT: Final = f"Heimdallr PS3.15 E.1 {EDITION}"
_CODE_VALUE: Final = 0x00080100


def marks(
    encoder: Encoder, options: Iterable[Option], earlier: Iterable[bytes]
) -> dict[int, bytes]:
    """Return the elements that say so, encoded, by tag.

    Args:
        encoder: Writes elements in the object's encoding.
        options: The options that were really applied.
        earlier: Items of De-identification Method Code Sequence that stood there before.
    """
    chosen = frozenset(options)
    items = list(earlier)
    items += [item for item in _code_items(encoder, chosen) if item not in items]
    cleaned = {}
    if Option.CLEAN_PIXEL_DATA in chosen:
        cleaned = {BURNED_IN: encoder.text(BURNED_IN, "CS", "NO")}
    return cleaned | {
        IDENTITY_REMOVED: encoder.text(IDENTITY_REMOVED, "CS", "YES"),
        METHOD: encoder.text(METHOD, "LO", METHOD_TEXT),
        METHOD_CODES: encoder.sequence(METHOD_CODES, items),
        TEMPORAL: encoder.text(TEMPORAL, "CS", _temporal(chosen)),
    }


def earlier_methods(layout: Layout, places: Iterable[Place], encoder: Encoder) -> list[bytes]:
    """Return the method codes that an object bears already, as items of our own encoding.

    Codes of the profile are taken over and nothing else: an item may hold anything.
    """
    known = dict(code for code in method_codes(Option))
    found: list[bytes] = []
    for place in places:
        if place.tag != METHOD_CODES or place.vr != "SQ":
            continue
        for begin, end in layout.items(place, 0):
            code = _code(layout, begin, end)
            if code in known:
                found.append(_code_item(encoder, code, known[code]))
    return list(dict.fromkeys(found))


def _code(layout: Layout, begin: int, end: int) -> str:
    for place in layout.elements(begin, end, 1):
        if place.tag == _CODE_VALUE and place.stop - place.value <= 16:
            return bytes(layout.view[place.value : place.stop]).decode("latin-1").strip(" \0")
    return ""


def _code_items(encoder: Encoder, options: frozenset[Option]) -> list[bytes]:
    return [_code_item(encoder, code, meaning) for code, meaning in method_codes(options)]


def _code_item(encoder: Encoder, code: str, meaning: str) -> bytes:
    return encoder.code(code, "DCM", meaning)


def _temporal(options: frozenset[Option]) -> str:
    if Option.RETAIN_FULL_DATES in options:
        return "UNMODIFIED"
    return "MODIFIED" if Option.RETAIN_MODIFIED_DATES in options else "REMOVED"

"""Text from strangers, made fit for paper: what fonts can draw, cut, and with room to break."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from fontTools.ttLib.ttCollection import TTCollection  # type: ignore[import-untyped]

MISSING: Final = "\N{WHITE SQUARE}"
"""Stands for a character that no font here has; PDF/A allows no empty glyph."""
CUT: Final = "\N{HORIZONTAL ELLIPSIS} (cut)"
MAX_CHARS: Final = 400
BREAK: Final = "\N{ZERO WIDTH SPACE}"
"""Where a line may break within a word."""

_BREAK_EVERY: Final = 16
_LONG: Final = re.compile(rf"[^\s{BREAK}]{{{2 * _BREAK_EVERY},}}")
_SUFFIXES: Final = (".ttf", ".otf", ".ttc")


@lru_cache(maxsize=8)
def coverage(folders: tuple[Path, ...]) -> frozenset[int]:
    """Return the code points that some font in the folders can draw."""
    found: set[int] = set()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in _SUFFIXES:
                found.update(_code_points(path))
    return frozenset(found)


def printable(text: str, drawable: frozenset[int], most: int = MAX_CHARS) -> str:
    """Return a text as it can be printed.

    Controls become blanks; characters that no font has, and those that turn the direction of
    what follows, become ``MISSING``; long words may break; what is too long is cut, and says so.
    """
    shown = text if len(text) <= most else text[:most].rstrip() + CUT
    composed = unicodedata.normalize("NFC", shown)
    drawn = "".join(_drawn(character, drawable) for character in composed)
    return _LONG.sub(lambda word: _breakable(word[0]), " ".join(drawn.split()))


def _drawn(character: str, drawable: frozenset[int]) -> str:
    if character == BREAK:
        return character
    category = unicodedata.category(character)
    if category in ("Cc", "Zs", "Zl", "Zp"):
        return " "
    if category in ("Cf", "Cs", "Co", "Cn") or ord(character) not in drawable:
        return MISSING
    return character


def _breakable(word: str) -> str:
    return BREAK.join(word[i : i + _BREAK_EVERY] for i in range(0, len(word), _BREAK_EVERY))


def _code_points(path: Path) -> Iterable[int]:
    if path.suffix.lower() == ".ttc":
        with TTCollection(path) as collection:
            return {point for font in collection.fonts for point in font.getBestCmap() or ()}
    with TTFont(path, lazy=True) as font:
        return set(font.getBestCmap() or ())

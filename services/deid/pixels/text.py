"""What a reader of text sees in a frame, and the rectangles that are blanked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

OCR_TEXT: Final = "OCR_TEXT"
OCR_IDENTIFIER: Final = "OCR_IDENTIFIER"
ULTRASOUND_REGION: Final = "ULTRASOUND_REGION"
DEVICE_MASK: Final = "DEVICE_MASK"

Frame = NDArray[Any]
Picture = NDArray[np.uint8]
"""Rows x columns, grey."""


class Area(NamedTuple):
    """A rectangle of a frame in pixels, from the top left."""

    x: int
    y: int
    width: int
    height: int

    def joined(self, other: Area) -> Area:
        """Return the smallest rectangle around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Area(x, y, right - x, bottom - y)

    def overlap(self, other: Area) -> float:
        """Return the share of both rectangles together that is in both, 0 to 1."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        both = max(0, width) * max(0, height)
        return both / (self.width * self.height + other.width * other.height - both)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that was blanked, or in which text was found.

    Attributes:
        frame: Number from 1.
        x: Left edge.
        y: Top edge.
        width: In pixels.
        height: In pixels.
        code: Why, e.g. "OCR_TEXT".
    """

    frame: int
    x: int
    y: int
    width: int
    height: int
    code: str

    @property
    def area(self) -> Area:
        """Where it is."""
        return Area(self.x, self.y, self.width, self.height)


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text in a frame.

    Attributes:
        area: Where it stands.
        words: What it was read as; may be empty where it is text that cannot be read.
        confidence: Of the reading, 0 to 1.
    """

    area: Area
    words: str
    confidence: float


class TextReader(Protocol):
    """Finds text, in any of the four directions that devices write in."""

    @property
    def name(self) -> str:
        """Engine and version."""
        ...

    def read(self, picture: Picture) -> list[Text]:
        """Return the text of a picture."""
        ...

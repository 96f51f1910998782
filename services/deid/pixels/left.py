"""Text that is left in pixels after they were cleared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.deid.errors import DeidRefusedError
from services.deid.pixels.text import OCR_IDENTIFIER, Box

IDENTIFIER_FOUND: Final = "IDENTIFIER_FOUND"
TEXT_LEFT: Final = "TEXT_LEFT_IN_PIXELS"
_LEFT: Final = "text is still read after it was blanked"


class TextLeftError(DeidRefusedError):
    """Text is left in the pixels.

    Attributes:
        boxes: Where.
    """

    def __init__(self, boxes: Sequence[Box]) -> None:
        named = any(box.code == OCR_IDENTIFIER for box in boxes)
        super().__init__(IDENTIFIER_FOUND if named else TEXT_LEFT, "PixelData", _LEFT)
        self.boxes = tuple(boxes)

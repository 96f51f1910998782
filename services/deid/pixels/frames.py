"""Clears one frame of text, and looks at the result once more before it is let go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.deid.errors import DeidRefusedError
from services.deid.pixels.blank import background, blank
from services.deid.pixels.judgement import Staying, objection
from services.deid.pixels.picture import pictures_of
from services.deid.pixels.text import OCR_IDENTIFIER, Area, Box, Frame, TextReader
from services.deid.subject import Subject

IDENTIFIER_FOUND: Final = "IDENTIFIER_FOUND"
TEXT_LEFT: Final = "TEXT_LEFT_IN_PIXELS"
_ROUNDS: Final = 3
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


@dataclass(frozen=True, slots=True)
class FrameCleaner:
    """Clears frames of one object.

    Attributes:
        reader: Finds text.
        subject: Whose identity goes.
        staying: Which text may stay.
        fixed: Areas that are blanked whatever is in them, with their code.
    """

    reader: TextReader
    subject: Subject
    staying: Staying
    fixed: tuple[tuple[Area, str], ...]

    def clean(self, frame: Frame, photometric: str, number: int) -> tuple[list[Box], list[Box]]:
        """Blank a frame in place; return what was blanked, and the text that is read still.

        Args:
            frame: Rows x columns, or rows x columns x 3; may be written to.
            photometric: Photometric Interpretation of its samples.
            number: Of the frame, from 1.
        """
        filling = background(frame, photometric)
        boxes = [Box(number, *area, code) for area, code in self.fixed]
        blank(frame, (box.area for box in boxes), filling)
        for _ in range(_ROUNDS):
            found = list(dict.fromkeys(self._found(frame, photometric, number)))
            if not found:
                return boxes, []
            boxes += found
            blank(frame, (box.area for box in found), filling)
        return boxes, list(dict.fromkeys(self._found(frame, photometric, number)))

    def _found(self, frame: Frame, photometric: str, number: int) -> Iterator[Box]:
        for picture in pictures_of(frame, photometric):
            for text in self.reader.read(picture):
                code = objection(text, self.subject, self.staying)
                if code:
                    yield Box(number, *text.area, code)

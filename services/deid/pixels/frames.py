"""Clears one frame of text, and looks at the result once more before it is let go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.deid.pixels.blank import background, blank
from services.deid.pixels.judgement import Staying, objection
from services.deid.pixels.picture import pictures_of
from services.deid.pixels.text import Area, Box, Frame, TextReader
from services.deid.subject import Subject

_ROUNDS: Final = 3


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

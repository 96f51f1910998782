"""Clears one frame of text, and looks at the result once more before it is let go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.deid.pixels.blank import background, blank
from services.deid.pixels.judgement import Staying, objection
from services.deid.pixels.picture import pictures_of
from services.deid.pixels.text import Area, Box, Frame, Text, TextReader
from services.deid.subject import Subject

_ROUNDS: Final = 3
_MOSTLY: Final = 0.5
_YES: Final = np.array(True)


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
        blanked = np.zeros(frame.shape[:2], bool)
        blank(frame, (box.area for box in boxes), filling)
        blank(blanked, (box.area for box in boxes), _YES)
        for _ in range(_ROUNDS):
            found = self._found(frame, photometric, number, blanked)
            if not found:
                return boxes, []
            boxes += found
            blank(frame, (box.area for box in found), filling)
            blank(blanked, (box.area for box in found), _YES)
        return boxes, self._found(frame, photometric, number, blanked)

    def _found(
        self, frame: Frame, photometric: str, number: int, blanked: NDArray[np.bool_]
    ) -> list[Box]:
        found: list[Box] = []
        for picture in pictures_of(frame, photometric):
            for text in self.reader.read(picture):
                code = objection(text, self.subject, self.staying)
                if code and not _is_our_own(text, blanked):
                    found.append(Box(number, *text.area, code))
        return list(dict.fromkeys(found))


def _is_our_own(text: Text, blanked: NDArray[np.bool_]) -> bool:
    """Tell a rectangle that was blanked, in which nothing is read, from text."""
    x, y, width, height = text.area
    share = float(blanked[y : y + height, x : x + width].mean())
    return not text.words and share > _MOSTLY

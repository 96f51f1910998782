"""Reads text by the two networks of PP-OCR: where it stands, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from services.deid.pixels.detection import Likelihood, text_areas
from services.deid.pixels.recognition import Line, read_line
from services.deid.pixels.text import Picture, Text

_LARGE: Final = 0.14
_LARGE_PIXELS: Final = 72
_LONG: Final = 2.5
_SURE: Final = 0.6


class PaddleReader:
    """Reads text by two networks.

    Args:
        detector: File of the network that finds where text stands.
        recogniser: File of the one that reads it, with its characters.
        name: Engine and version.

    Attributes:
        name: Engine and version.
    """

    def __init__(self, detector: Path, recogniser: Path, name: str) -> None:
        self.name = name
        self._detector = _session(detector)
        self._recogniser = _session(recogniser)
        listed = self._recogniser.get_modelmeta().custom_metadata_map["character"]
        self._characters = ("", *listed.splitlines(), " ")

    def read(self, picture: Picture) -> list[Text]:
        """Return the text of a picture, upright or turned by 90, 180 or 270 degrees.

        Args:
            picture: Rows x columns, grey.
        """
        shortest = min(picture.shape)
        texts = []
        for area in text_areas(picture, self._likelihood):
            words, confidence = read_line(picture, area, self._line, self._characters)
            text = Text(area, words, confidence)
            if _is_text(text, shortest):
                texts.append(text)
        return texts

    def _likelihood(self, tile: Likelihood) -> Likelihood:
        likelihood: Likelihood = _run(self._detector, tile)[0]
        return likelihood

    def _line(self, line: Line) -> Line:
        likelihoods: Line = _run(self._recogniser, line)
        return likelihoods


def _is_text(text: Text, shortest_side: int) -> bool:
    """Tell letters from anatomy: an organ may look like one character, never like a line of it."""
    height, width = sorted((text.area.width, text.area.height))
    if height > max(_LARGE_PIXELS, _LARGE * shortest_side):
        return len(text.words) > 2 and text.confidence > _SURE
    return len(text.words) > 1 or width > _LONG * height


def _run(session: onnxruntime.InferenceSession, picture: np.ndarray[Any, Any]) -> Any:
    name = session.get_inputs()[0].name
    return session.run(None, {name: picture[None]})[0][0]


def _session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Frames are read side by side by processes; memory is given back after each.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])

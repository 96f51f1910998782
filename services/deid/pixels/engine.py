"""The reader of text that is installed: networks of PP-OCR, run by ONNX Runtime on the CPU.

The package that brings the networks is asked for its files alone and never imported: what it
imports itself needs libraries of a desktop.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from services.deid.pixels.detection import Likelihood, text_areas
from services.deid.pixels.recognition import Line, read_line
from services.deid.pixels.text import Picture, Text, TextReader

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_PACKAGE: Final = "rapidocr_onnxruntime"
_RUNTIME: Final = "onnxruntime"
_DETECTOR: Final = "models/ch_PP-OCRv4_det_infer.onnx"
_RECOGNISER: Final = "models/ch_PP-OCRv4_rec_infer.onnx"
_LARGE: Final = 0.14
_LARGE_PIXELS: Final = 72
_LONG: Final = 2.5
_SURE: Final = 0.6


def engine_name() -> str:
    """Return engine and version; empty when none is installed. Loads nothing."""
    if _folder() is None or importlib.util.find_spec(_RUNTIME) is None:
        return ""
    version = importlib.metadata.version(_PACKAGE.replace("_", "-"))
    return f"PP-OCRv4 (rapidocr-onnxruntime {version})"


@cache
def installed_reader() -> TextReader | None:
    """Return the reader of this process, or None when none is installed or it cannot start."""
    folder = _folder()
    if not engine_name() or folder is None:
        return None
    try:
        return PaddleReader(folder)
    except Exception:
        # Whatever a native library says: without a reader objects are refused.
        return None


def _folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(places[0]) if places else None
    there = folder and all((folder / name).is_file() for name in (_DETECTOR, _RECOGNISER))
    return folder if there else None


class PaddleReader:
    """Reads text by two networks.

    Args:
        folder: Of the package that holds them.
    """

    def __init__(self, folder: Path) -> None:
        self._detector = _session(folder / _DETECTOR)
        self._recogniser = _session(folder / _RECOGNISER)
        listed = self._recogniser.get_modelmeta().custom_metadata_map["character"]
        self._characters = ("", *listed.splitlines(), " ")

    @property
    def name(self) -> str:
        """Engine and version."""
        return engine_name()

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


def _run(session: InferenceSession, picture: np.ndarray[Any, Any]) -> Any:
    name = session.get_inputs()[0].name
    return session.run(None, {name: picture[None]})[0][0]


def _session(model: Path) -> InferenceSession:
    # Costs a quarter of a second, which those who read no pixels do not pay.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Frames are read side by side by processes; memory is given back after each.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])

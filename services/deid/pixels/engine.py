"""The reader of text that is installed: networks of PP-OCR, run by ONNX Runtime on the CPU.

The package that brings the networks is asked for its files alone and never imported: what it
imports itself needs libraries of a desktop.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

from services.deid.pixels.text import TextReader

_PACKAGE: Final = "rapidocr_onnxruntime"
_RUNTIME: Final = "onnxruntime"
_DETECTOR: Final = "models/ch_PP-OCRv4_det_infer.onnx"
_RECOGNISER: Final = "models/ch_PP-OCRv4_rec_infer.onnx"


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
        # Costs most of a second, which those who read no pixels do not pay.
        from services.deid.pixels.paddle import PaddleReader

        return PaddleReader(folder / _DETECTOR, folder / _RECOGNISER, engine_name())
    except Exception:
        # Whatever a native library says: without a reader objects are refused.
        return None


def _folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = Path(places[0]) if places else None
    there = folder and all((folder / name).is_file() for name in (_DETECTOR, _RECOGNISER))
    return folder if there else None

"""The DICOM corpora that lie beside the checkout; none of it is part of the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

_BESIDE: Final = Path(__file__).resolve().parents[3] / "shared" / "corpora"


def corpora_folder() -> Path | None:
    """Return the folder of all corpora, or None where there is none."""
    folder = Path(os.environ.get("HEIMDALLR_CORPORA", _BESIDE))
    return folder if folder.is_dir() else None


def corpus(name: str) -> Path:
    """Return the folder of a corpus, or skip the test where there is none."""
    folder = (corpora_folder() or Path()) / name
    if corpora_folder() is None or not folder.is_dir():
        pytest.skip(f"corpus {name} is not beside the checkout (HEIMDALLR_CORPORA)")
    return folder

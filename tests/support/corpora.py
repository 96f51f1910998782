"""The DICOM corpora that lie beside the checkout; none of it is part of the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

_BESIDE: Final = Path(__file__).resolve().parents[3] / "shared" / "corpora"


def corpus(name: str) -> Path:
    """Return the folder of a corpus, or skip the test where there is none."""
    folder = Path(os.environ.get("HEIMDALLR_CORPORA", _BESIDE)) / name
    if not folder.is_dir():
        pytest.skip(f"corpus {name} is not beside the checkout (HEIMDALLR_CORPORA)")
    return folder

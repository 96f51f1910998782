from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Folder of the DICOM corpora."""
    folder = Path(os.environ.get("HEIMDALLR_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not folder.is_dir():
        pytest.skip("the DICOM corpora are absent (HEIMDALLR_CORPORA)")
    return folder

"""OHIF, where it has been fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.cli.stack.errors import MissingPartError

VIEWER: Final = Path(__file__).resolve().parents[3] / "deploy/ohif/dist"


def require_viewer() -> None:
    """Check that there is a viewer to serve.

    Raises:
        MissingPartError: It has not been fetched.
    """
    if not (VIEWER / "index.html").is_file():
        raise MissingPartError("OHIF is missing: fetch it with `make ohif`")

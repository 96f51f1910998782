"""DCMTK's tools as peers of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest


def require_dcmtk() -> None:
    """Skip the test where DCMTK is absent."""
    if shutil.which("storescu") is None:
        pytest.skip("DCMTK is not installed (apt-get install dcmtk)")


def dcmtk(tool: str, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's tools without Nagle's delay and return how it ended."""
    return subprocess.run(
        [tool, *arguments],
        env=os.environ | {"TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def echoscu(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    """Send a C-ECHO."""
    return dcmtk("echoscu", "-aec", "HEIMDALLR", *options, "127.0.0.1", str(port))


def storescu(port: int, paths: Sequence[Path], *options: str) -> subprocess.CompletedProcess[str]:
    """Send files by C-STORE."""
    return dcmtk(
        "storescu", "-aec", "HEIMDALLR", *options, "127.0.0.1", str(port), *map(str, paths)
    )

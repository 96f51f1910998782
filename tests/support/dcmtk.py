"""DCMTK's tools as peers of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest


@cache
def dcmtk_tool(name: str) -> str | None:
    """Return the path of one of DCMTK's tools, or None where DCMTK is absent.

    pynetdicom brings programs of the same names into our own environment: those are no peers.
    """
    own = Path(sys.prefix) / "bin"
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(folder for folder in folders if Path(folder).resolve() != own.resolve())
    found = shutil.which(name, path=path)
    if found is None:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    return found if "$dcmtk:" in version.stdout else None


def require_dcmtk() -> None:
    """Skip the test where DCMTK is absent."""
    if dcmtk_tool("storescu") is None:
        pytest.skip("DCMTK is not installed (apt-get install dcmtk)")


def dcmtk(name: str, *arguments: str, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's tools without Nagle's delay and return how it ended."""
    tool = dcmtk_tool(name)
    if tool is None:
        raise FileNotFoundError(f"DCMTK's {name} is not installed")
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

"""A stack of a test's own: a data folder that any user can reach, and free ports."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from services.cli.stack import StackSettings
from services.cli.stack.children import MODULES
from services.cli.stack.orphans import MARK
from services.cli.stack.ports import free_ports

OUR_PROCESSES: Final = frozenset(MODULES)
"""Names of the processes written here; what is left without them is what others wrote."""


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """An empty folder with a short name; pytest's own is closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stack_settings(data: Path, without: frozenset[str] = frozenset()) -> StackSettings:
    """Return settings with free ports."""
    http_port, dicom_port = free_ports(2)
    return StackSettings(data=data, http_port=http_port, dicom_port=dicom_port, without=without)


def living(run: Path) -> list[psutil.Process]:
    """Return the processes of a stack that live, told by their mark or their folder."""
    return [process for process in psutil.process_iter() if _lives_in(process, run)]


def _lives_in(process: psutil.Process, run: Path) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.environ().get(MARK) == str(run) or str(run) in " ".join(process.cmdline())
    except psutil.Error:
        return False

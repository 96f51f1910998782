"""Processes that outlived a supervisor which was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "HEIMDALLR_STACK"
"""Environment variable that every process of a stack carries: its runtime folder."""

_PATIENCE_S: Final = 5.0


def kill_orphans(run: Path) -> int:
    """Kill what an earlier supervisor of this runtime folder left behind; return how many.

    Linux ends the processes themselves when their supervisor dies; this finds what those had
    started in turn, such as a conversion tool.
    """
    orphans = [process for process in psutil.process_iter() if _belongs(process, run)]
    for process in orphans:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(orphans, timeout=_PATIENCE_S)
    return len(orphans)


def _belongs(process: psutil.Process, run: Path) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        return bool(process.environ().get(MARK) == str(run))
    except (psutil.Error, OSError):
        return False

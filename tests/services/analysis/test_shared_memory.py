"""Shared memory regions: contents, reservation, and who may remove them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from services.analysis.shared_memory import DEFAULT_PREFIX, FOLDER, Region, sweep

ORPHAN = """
import os, sys
sys.path.insert(0, sys.argv[1])
from services.analysis.shared_memory import Region
print(Region(4096).name, flush=True)
os._exit(9)
"""


def test_holds_what_was_written() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)

    with Region(array.nbytes) as region:
        region.write(array)

        assert np.array_equal(region.read((2, 3, 4), np.int16), array)


def test_closing_unlinks_and_may_be_repeated() -> None:
    region = Region(4096)

    region.close()
    region.close()

    assert not (FOLDER / region.name).exists()


def test_is_private_to_its_user() -> None:
    with Region(4096) as region:
        assert (FOLDER / region.name).stat().st_mode & 0o077 == 0


def test_more_than_there_is_room_for_is_an_error_and_leaves_nothing() -> None:
    before = set(FOLDER.glob(f"{DEFAULT_PREFIX}*"))

    with pytest.raises(OSError, match=r".+"):
        Region(1 << 50)

    assert set(FOLDER.glob(f"{DEFAULT_PREFIX}*")) == before


def test_sweep_keeps_a_region_in_use() -> None:
    with Region(4096) as region:
        sweep()

        assert (FOLDER / region.name).exists()


def test_sweep_removes_what_a_dead_process_left() -> None:
    root = Path(__file__).parents[3]
    orphan = subprocess.run(
        [sys.executable, "-c", ORPHAN, str(root)], capture_output=True, text=True, timeout=60
    ).stdout.strip()
    assert (FOLDER / orphan).exists()

    swept = sweep()

    assert swept >= 1
    assert not (FOLDER / orphan).exists()

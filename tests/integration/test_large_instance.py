"""An instance of 2 GiB passes through processes that keep little of it in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.bench_instances import CT_BYTES, write_large
from tests.support.dcmtk import require_dcmtk, storescu
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.soak, pytest.mark.stack, pytest.mark.dcmtk]

FRAMES = 4096
MOST_BYTES = 64 << 20
LEFT_OUT = ("conversion", "analysis", "reporting", "deid", "triton")


class Memory:
    """The most that a process held since this was made."""

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")
        # 5 sets the peak back to what is held now (man proc).
        (self._process / "clear_refs").write_text("5")
        self._before = self._kilobytes("VmRSS")

    def growth_bytes(self) -> int:
        return 1024 * (self._kilobytes("VmHWM") - self._before)

    def _kilobytes(self, name: str) -> int:
        for line in (self._process / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise AssertionError(name)


def test_two_gibibytes_come_in_and_hardly_show_in_memory(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    require_dcmtk()
    large, small = tmp_path / "large.dcm", tmp_path / "small.dcm"
    write_large(large, FRAMES)
    write_large(small, 1)
    arguments = tuple(word for part in LEFT_OUT for word in ("--without", part))
    with RunningStack(arguments=arguments) as stack:
        # What is loaded with the first instance is no growth of this one.
        assert storescu(stack.dicom_port, [small]).returncode == 0
        memory = {name: Memory(stack.pid(name)) for name in ("gateway", "coordinator")}

        sent = storescu(stack.dicom_port, [large])

        assert sent.returncode == 0, sent.stderr
        growth = {name: one.growth_bytes() for name, one in memory.items()}
        blobs = [p for p in (stack.data / "blobs").glob("??/*") if p.stat().st_size > CT_BYTES * 2]
        assert [_digest(path) for path in blobs] == [path.name for path in blobs]
        assert len(blobs) == 1
        assert blobs[0].stat().st_size > FRAMES * CT_BYTES
    told = ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in growth.items())
    figure(f"growth of memory by an instance of 2 GiB: {told}")
    assert max(growth.values()) < MOST_BYTES


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

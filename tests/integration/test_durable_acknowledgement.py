"""strace of one ingest: what reaches the disk before the modality is told that it is stored."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from services.dicom.phantoms.series import phantom_study
from tests.support.dcmtk import storescu
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

SYSCALLS = "trace=fsync,fdatasync,sendto,sendmsg,write,writev,pwrite64"
LINE = re.compile(r"^\d+\s+(?P<time>\d+\.\d+) (?P<call>\w+)\((?P<arguments>.*)$")
C_STORE_RESPONSE = re.compile(r'<TCP:\[[^\]]*:(?P<port>\d+)->[^\]]*\]>, "\\4\\0')


@dataclass(frozen=True, slots=True)
class Call:
    """One system call as strace saw it, at a Unix time in seconds."""

    time: float
    name: str
    arguments: str


@contextmanager
def _traced(pids: list[int], output: Path) -> Iterator[None]:
    attach = [option for pid in pids for option in ("-p", str(pid))]
    command = ["strace", "-f", "-ttt", "-yy", "-s", "16", "-e", SYSCALLS, "-o", str(output)]
    tracer = subprocess.Popen([*command, *attach], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    first = tracer.stderr.readline()
    if "attached" not in first:
        tracer.kill()
        pytest.skip(f"strace may not attach: {first.strip()}")
    time.sleep(1)
    try:
        yield
        time.sleep(0.5)
    finally:
        tracer.terminate()
        tracer.communicate(timeout=20)


def _calls(output: Path) -> list[Call]:
    matches = (LINE.match(line) for line in output.read_text(errors="replace").splitlines())
    return [Call(float(m["time"]), m["call"], m["arguments"]) for m in matches if m]


def test_bytes_folder_and_wal_are_on_disk_before_the_acknowledgement(
    stack: RunningStack, dcmtk: None, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    file = tmp_path / "one.dcm"
    file.write_bytes(phantom_study(77, shape=(2, 64, 64))[0])
    postgres = psutil.Process(stack.pid("postgres"))
    pids = [postgres.pid, *(child.pid for child in postgres.children()), stack.pid("gateway")]

    with _traced(pids, tmp_path / "trace"):
        assert storescu(stack.dicom_port, [file]).returncode == 0

    calls = _calls(tmp_path / "trace")
    acknowledged = min(
        call.time
        for call in calls
        if (m := C_STORE_RESPONSE.search(call.arguments)) and int(m["port"]) == stack.dicom_port
    )
    before = [c for c in calls if c.time < acknowledged and c.name in ("fsync", "fdatasync")]
    blobs = re.escape(str(stack.data / "blobs"))
    of_file = [c for c in before if re.search(rf"<{blobs}/incoming/[^>]+>", c.arguments)]
    of_folder = [c for c in before if re.search(rf"<{blobs}/[0-9a-f]{{2}}>", c.arguments)]
    of_wal = [c for c in before if "/pg_wal/" in c.arguments]
    assert of_file
    assert of_folder
    assert of_wal
    assert of_file[0].time < of_wal[-1].time < acknowledged
    figure(
        "strace of one C-STORE, ms before the answer: "
        f"file {1000 * (acknowledged - of_file[0].time):.1f}, "
        f"folder {1000 * (acknowledged - of_folder[0].time):.1f}, "
        f"WAL {1000 * (acknowledged - of_wal[-1].time):.1f}"
    )

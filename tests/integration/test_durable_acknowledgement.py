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
COUNT = 5
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


def _matching(calls: list[Call], pattern: str) -> list[float]:
    flushes = [c for c in calls if c.name in ("fsync", "fdatasync")]
    return [call.time for call in flushes if re.search(pattern, call.arguments)]


def test_bytes_folder_and_wal_are_on_disk_before_each_acknowledgement(
    stack: RunningStack, dcmtk: None, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    files = phantom_study(77, shape=(COUNT, 64, 64))
    for number, data in enumerate(files):
        (tmp_path / f"{number}.dcm").write_bytes(data)
    postgres = psutil.Process(stack.pid("postgres"))
    pids = [postgres.pid, *(child.pid for child in postgres.children())]
    pids += [stack.pid("gateway"), stack.pid("coordinator")]

    with _traced(pids, tmp_path / "trace"):
        sent = storescu(stack.dicom_port, sorted(tmp_path.glob("*.dcm")))
        assert sent.returncode == 0

    calls = _calls(tmp_path / "trace")
    acknowledged = [
        call.time
        for call in calls
        if (m := C_STORE_RESPONSE.search(call.arguments)) and int(m["port"]) == stack.dicom_port
    ][:COUNT]
    blobs = re.escape(str(stack.data / "blobs"))
    # Under its own name or while it is written, by the gateway or by the coordinator.
    of_files = _matching(calls, rf"<{blobs}/(incoming|[0-9a-f]{{2}})/[^>]+>")
    of_folders = _matching(calls, rf"<{blobs}/[0-9a-f]{{2}}>")
    of_wal = _matching(calls, "/pg_wal/")
    assert len(acknowledged) == COUNT
    # One association: an answer is there before the next instance comes.
    for number, answer in enumerate(acknowledged):
        before = acknowledged[number - 1] if number else 0.0
        flushed = [time for time in of_files if before < time < answer]
        assert flushed
        assert [time for time in of_folders if before < time < answer]
        assert [time for time in of_wal if max(flushed) < time < answer]
    first = acknowledged[0]
    figure(
        f"strace of {COUNT} C-STORE, ms before the first answer: "
        f"file {1000 * (first - of_files[0]):.1f}, folder {1000 * (first - of_folders[0]):.1f}, "
        f"WAL {1000 * (first - max(t for t in of_wal if t < first)):.1f}"
    )

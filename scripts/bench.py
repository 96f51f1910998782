"""Measure what the design promises, beside its peers in one run, and write docs/benchmarks.md.

Needs DCMTK (``apt-get install dcmtk``) for the sender and the peer. Takes some five minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from services.cli.stack.ports import free_ports
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.dcmtk import dcmtk_tool, storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel, settled

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "benchmarks.md"
PER_ASSOCIATION: Final = 300
ASSOCIATIONS: Final = (1, 4)
CT_SHAPE: Final = (PER_ASSOCIATION, 512, 512)  # 512 KiB of pixels a slice

_NODELAY: Final = os.environ | {"TCP_NODELAY": "1"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page."""

    what: str
    figure: str
    beside: str = ""


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _tool(name: str) -> str:
    tool = dcmtk_tool(name)
    if tool is None:
        raise FileNotFoundError(f"DCMTK's {name} is not installed")
    return tool


def _draw_series(folder: Path, count: int) -> list[Path]:
    """Write as many CT series as there are associations, of 512 KiB slices."""
    folders = []
    for number in range(count):
        target = folder / str(number)
        target.mkdir()
        phantom = ChestCtPhantom(number, shape=CT_SHAPE, noise_hu=0.0)
        write_series(phantom, target, PhantomStudy())
        folders.append(target)
    return folders


def _send(port: int, folder: Path) -> None:
    storescu(port, [folder], "+sd").check_returncode()


def _rate(port: int, folders: list[Path]) -> float:
    """Instances a second that are acknowledged, each folder over its own association."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(folders)) as pool:
        list(pool.map(lambda folder: _send(port, folder), folders))
    return len(folders) * PER_ASSOCIATION / (time.perf_counter() - began)


def _storescp_rates(folders: list[Path]) -> dict[int, float]:
    (port,) = free_ports(1)
    rates = {}
    for count in ASSOCIATIONS:
        with tempfile.TemporaryDirectory() as output:
            options = ["-aet", "PEER", "--fork", "-od", output, str(port)]
            peer = subprocess.Popen([_tool("storescp"), *options], env=_NODELAY)
            time.sleep(0.5)
            rates[count] = _rate(port, folders[:count])
            stored = sum(1 for _ in Path(output).iterdir())
            peer.terminate()
            peer.wait()
            if stored != count * PER_ASSOCIATION:
                raise RuntimeError(f"storescp holds {stored} instances")
    return rates


def _our_rates(draw: Callable[[], list[Path]]) -> tuple[dict[int, float], dict[str, float]]:
    """Rates by number of associations, and CPU seconds per 1,000 instances by process."""
    rates = {}
    with RunningStack() as stack:
        before = _cpu_seconds(stack)
        for count in ASSOCIATIONS:
            rates[count] = _rate(stack.dicom_port, draw()[:count])
        after = _cpu_seconds(stack)
    sent = sum(ASSOCIATIONS) * PER_ASSOCIATION
    cpu = {name: 1000 * (after[name] - before[name]) / sent for name in before if name in after}
    return rates, cpu


def _cpu_seconds(stack: RunningStack) -> dict[str, float]:
    seconds = {}
    for process in stack.state.processes:
        if process.pid is None:
            continue
        root = psutil.Process(process.pid)
        times = [p.cpu_times() for p in (root, *root.children(recursive=True))]
        seconds[process.name] = sum(t.user + t.system for t in times)
    return seconds


def _sequential_fsync_mb_s() -> float:
    """Megabytes a second of 512 KiB files, each written and fsynced before the next."""
    block = os.urandom(512 * 1024)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        began = time.perf_counter()
        for number in range(200):
            with (Path(folder) / str(number)).open("wb") as file:
                file.write(block)
                file.flush()
                os.fsync(file.fileno())
        return 200 * len(block) / 1e6 / (time.perf_counter() - began)


def _ingest_rows() -> list[Row]:
    with tempfile.TemporaryDirectory(dir="/tmp") as work:
        series = 0

        def draw() -> list[Path]:
            nonlocal series
            series += 1
            folder = Path(work) / str(series)
            folder.mkdir()
            return _draw_series(folder, max(ASSOCIATIONS))

        _say("drawing CT series")
        peers = _storescp_rates(draw())
        _say(f"storescp {peers}")
        ours, cpu = _our_rates(draw)
        _say(f"heimdallr {ours}")
    rows = [
        Row(
            f"C-STORE to durable acknowledgement, 512 KiB CT, {count} association(s)",
            f"{ours[count]:.0f} instances/s",
            f"DCMTK storescp, which does not fsync: {peers[count]:.0f}/s; "
            f"ratio {ours[count] / peers[count]:.2f}",
        )
        for count in ASSOCIATIONS
    ]
    busy = ", ".join(f"{name} {seconds:.2f}" for name, seconds in cpu.items() if seconds >= 0.01)
    rows.append(Row("CPU seconds per 1,000 instances, by process", busy))
    rows.append(
        Row("The disk: 512 KiB files, fsynced one by one", f"{_sequential_fsync_mb_s():.0f} MB/s")
    )
    return rows


def _memory_mb(stack: RunningStack) -> dict[str, float]:
    """Proportional set size of each process with its children, in MB."""
    sizes = {"supervisor": psutil.Process(stack.supervisor).memory_full_info().pss / 1e6}
    for process in stack.state.processes:
        if process.pid is not None:
            root = psutil.Process(process.pid)
            family = (root, *root.children(recursive=True))
            sizes[process.name] = sum(p.memory_full_info().pss for p in family) / 1e6
    return sizes


async def _study_seconds(stack: RunningStack) -> float:
    study = PhantomStudy()
    with tempfile.TemporaryDirectory() as folder:
        write_series(ChestCtPhantom(1), Path(folder), study)
        began = time.perf_counter()
        _send(stack.dicom_port, Path(folder))
    async with operator_channel(stack) as channel:
        await settled(channel, study.study_instance_uid)
    return time.perf_counter() - began


def _stack_rows() -> list[Row]:
    with RunningStack() as stack:
        cold = stack.ready_seconds
        stack.stop()
        warm = stack.start().ready_seconds
        time.sleep(10)
        memory = _memory_mb(stack)
        first, second = (asyncio.run(_study_seconds(stack)) for _ in range(2))
    parts = ", ".join(f"{name} {size:.0f}" for name, size in memory.items())
    return [
        Row("Start of everything, empty data folder", f"{cold:.1f} s"),
        Row("Start of everything, warm", f"{warm:.1f} s"),
        Row("Idle memory of everything (PSS)", f"{sum(memory.values()):.0f} MB", parts),
        Row(
            "Phantom CT, 120 slices of 256x256: first byte sent to report ready",
            f"{second:.1f} s",
            f"the first study after the start {first:.1f} s",
        ),
    ]


def _queue_rows() -> list[Row]:
    output = subprocess.run(
        [sys.executable, "-m", "scripts.bench_queue"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    figures: dict[str, float] = json.loads(output[output.index("{") :])
    return [
        Row(f"Queue, 100,000 pending stages: {name.replace('_', ' ')}", f"{value:,.6g}")
        for name, value in figures.items()
    ]


def _machine() -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = psutil.virtual_memory().total / 2**30
    name = cpu[1] if cpu else platform.processor()
    return f"{os.cpu_count()} cores ({name}), {memory:.0f} GiB, Linux {platform.release()}"


def _page(rows: list[Row]) -> str:
    dcmtk = subprocess.run(
        [_tool("storescu"), "--version"], capture_output=True, text=True, check=True
    )
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; every ratio was measured side by side in one run.",
        "",
        f"- Machine: {_machine()}",
        f"- Date: {datetime.now(UTC):%Y-%m-%d}",
        f"- Peer: {dcmtk.stdout.splitlines()[0].strip('$ ')}, TCP_NODELAY on both ends",
        "",
        "| what | figure | beside |",
        "|---|---|---|",
        *(f"| {row.what} | {row.figure} | {row.beside} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure everything and write the page."""
    if dcmtk_tool("storescp") is None:
        _say("DCMTK is not installed: apt-get install dcmtk")
        return 1
    rows = [*_stack_rows(), *_ingest_rows(), *_queue_rows()]
    PAGE.write_text(_page(rows), encoding="utf-8")
    sys.stdout.write(_page(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

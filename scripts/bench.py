"""Measure what the design promises, beside its peers in one run, and write docs/benchmarks.md.

Needs DCMTK (``apt-get install dcmtk``) for the sender and Orthanc (``apt-get install orthanc
orthanc-dicomweb``) for the peer. Takes some ten minutes.
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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

from scripts import bench_deid, bench_dicomweb
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from tests.support.dcmtk import dcmtk_tool, storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel, settled

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "benchmarks.md"
SEARCHED_STUDIES: Final = (10_000, 100_000)
ROUNDS: Final = 3


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


def _send(port: int, folder: Path) -> None:
    storescu(port, [folder], "+sd").check_returncode()


def _figures(module: str, *arguments: str) -> dict[str, Any]:
    """Run a benchmark in a process of its own, so that its memory and imports are its own."""
    output = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ).stdout
    figures: dict[str, Any] = json.loads(output[output.index("{") :])
    return figures


def _ingest_rows() -> list[Row]:
    found = _figures("scripts.bench_ingest", str(ROUNDS))
    if not all(found["holds_what_was_sent"].values()):
        raise RuntimeError(f"not all hold what was sent: {found['holds_what_was_sent']}")
    ours, orthanc, storescp = (found["peers"][n] for n in ("heimdallr", "Orthanc", "storescp"))
    disk = found["disk_files_per_s"]
    rows = []
    for count, rate in ours["rate"].items():
        beside = (
            f"Orthanc {found['orthanc']} {orthanc['rate'][count]:.0f}/s, "
            f"ratio {rate / orthanc['rate'][count]:.2f}; storescp, which does not fsync, "
            f"{storescp['rate'][count]:.0f}/s; {100 * rate / disk:.0f} % of the disk's rate"
        )
        what = f"C-STORE to durable acknowledgement, 512 KiB CT, {count} association(s)"
        rows.append(Row(what, f"{rate:.0f} instances/s", beside))
        cpu = {**ours["cpu_seconds_per_1000"][count], **orthanc["cpu_seconds_per_1000"][count]}
        busy = ", ".join(f"{name} {seconds:.2f}" for name, seconds in cpu.items())
        rows.append(Row(f"CPU seconds per 1,000 of these, {count} association(s)", busy))
    refused = ours["refused"], orthanc["refused"]
    rows.append(Row("Associations refused: ours, Orthanc's", f"{refused[0]}, {refused[1]}"))
    held = f"{found['instances']:,} instances with the pixels that were sent, all three"
    rows.append(Row("Held after it", held))
    rows.append(Row("The disk: 512 KiB files, fsynced one by one", f"{disk:.0f} files/s"))
    return [*rows, *_mode_rows()]


def _mode_rows() -> list[Row]:
    found = _figures("scripts.bench_ingest_modes")
    chunks, journal = found["chunks"], found["journal"]
    cost = f"CPU s per 1,000: gateway {chunks['cpu_gateway_s']:.2f}"
    cost += f", coordinator {chunks['cpu_coordinator_s']:.2f}"
    drained = f"sent on at {journal['drained_per_s']:.0f}/s, {journal['bytes_each']:.0f} bytes each"
    return [
        Row("The same, 4 associations, as chunks", f"{chunks['per_s']:.0f} instances/s", cost),
        Row(
            "The same, 4 associations, coordinator away",
            f"{journal['per_s']:.0f} instances/s",
            drained,
        ),
    ]


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
    figures = _figures("scripts.bench_queue")
    return [
        Row(f"Queue, 100,000 pending stages: {name.replace('_', ' ')}", f"{value:,.6g}")
        for name, value in figures.items()
    ]


def _search_rows() -> list[Row]:
    """Searches of the worklist over fewer studies than docs/search.md shows."""
    output = subprocess.run(
        [sys.executable, "-m", "scripts.bench_search", "--json", *map(str, SEARCHED_STUDIES)],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    found: dict[str, dict[str, dict[str, float]]] = json.loads(output)
    together = {size: kinds["all of these"] for size, kinds in found.items()}
    return [
        Row(
            f"Worklist searches over {int(size):,} studies, all kinds",
            f"p50 {one['p50_ms']:.1f} ms, p95 {one['p95_ms']:.1f} ms",
            f"processor time of the database p95 {one['database_p95_ms']:.1f} ms; see search.md",
        )
        for size, one in together.items()
    ]


def _dicomweb_rows() -> list[Row]:
    _say("DICOMweb beside Orthanc's plugin")
    return [Row(*line) for line in bench_dicomweb.rows()]


def _deid_rows() -> list[Row]:
    _say("De-identification beside its peers")
    return [Row(*line) for line in bench_deid.rows()]


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
    rows = [*_stack_rows(), *_ingest_rows(), *_queue_rows(), *_search_rows()]
    rows += [*_dicomweb_rows(), *_deid_rows()]
    PAGE.write_text(_page(rows), encoding="utf-8")
    sys.stdout.write(_page(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

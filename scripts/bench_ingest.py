"""How fast instances come in, beside Orthanc and storescp in one run.

``python -m scripts.bench_ingest [ROUNDS]`` prints JSON. Every round sends to each receiver in turn;
in the end all hold what was sent.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scripts.bench_instances import CT_BYTES, draw, sent_hashes
from scripts.bench_peers import Orthanc, Ours, Peer, Storescp, cpu_seconds
from tests.support.dcmtk import storescu

PLANS: Final = {1: 300, 4: 300, 50: 40}
"""Instances an association, by number of associations at once."""
_DISK_FILES: Final = 200


@dataclass
class Measured:
    """What was measured of one receiver.

    Attributes:
        rates: Instances a second by number of associations, one for each round.
        cpu: CPU seconds by number of associations and process.
        sent: Instances by number of associations.
        refused: Associations that were refused or broke.
        hashes: Pixel hashes of what was sent.
    """

    rates: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[int, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    sent: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    refused: int = 0
    hashes: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return what is worth printing."""
        return {
            "rate": {n: statistics.median(rates) for n, rates in self.rates.items()},
            "rates": {n: [round(rate) for rate in rates] for n, rates in self.rates.items()},
            "cpu_seconds_per_1000": {
                n: {name: 1000 * seconds / self.sent[n] for name, seconds in by_name.items()}
                for n, by_name in self.cpu.items()
            },
            "refused": self.refused,
        }


def send(port: int, folders: list[Path]) -> tuple[float, int]:
    """Send each folder over its own association; return seconds and how many of them failed."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(folders)) as pool:
        codes = list(pool.map(lambda one: storescu(port, [one], "+sd").returncode, folders))
    return time.perf_counter() - began, sum(code != 0 for code in codes)


def measure(peer: Peer, measured: Measured, work: Path, count: int) -> None:
    """Send over so many associations at once and note what came of it."""
    each = PLANS[count]
    folders = draw(work, count, each)
    processes = peer.processes()
    before = cpu_seconds(processes)
    seconds, failed = send(peer.port, folders)
    after = cpu_seconds(processes)
    measured.rates[count].append(count * each / seconds)
    measured.refused += failed
    measured.sent[count] += count * each
    of_count = measured.cpu[count]
    for name, spent in before.items():
        of_count[name] = of_count.get(name, 0.0) + after[name] - spent
    measured.hashes += sent_hashes(folders)
    for folder in folders:
        shutil.rmtree(folder)


def disk_rate(work: Path) -> float:
    """Return files of one instance's size a second, each written and fsynced before the next."""
    block = os.urandom(CT_BYTES)
    folder = work / "disk"
    folder.mkdir()
    began = time.perf_counter()
    for number in range(_DISK_FILES):
        with (folder / str(number)).open("wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
    seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return _DISK_FILES / seconds


def run(rounds: int) -> dict[str, Any]:
    """Measure everything in turn, so often."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp")))
        orthanc = stack.enter_context(Orthanc())
        peers: list[Peer] = [stack.enter_context(Ours()), orthanc]
        peers.append(stack.enter_context(Storescp()))
        found = {peer.name: Measured() for peer in peers}
        disk = []
        for peer in peers:
            send(peer.port, warm := draw(work, 1, 20))
            found[peer.name].hashes += sent_hashes(warm)
        for _ in range(rounds):
            disk.append(disk_rate(work))
            for count in PLANS:
                for peer in peers:
                    measure(peer, found[peer.name], work, count)
                    _say(f"{peer.name} {count}: {found[peer.name].rates[count][-1]:.0f}/s")
        same = {peer.name: peer.hashes() == sorted(found[peer.name].hashes) for peer in peers}
        figures = {name: measured.figures() for name, measured in found.items()}
        return {
            "disk_files_per_s": statistics.median(disk),
            "orthanc": orthanc.version(),
            "instances": len(found[Ours.name].hashes),
            "holds_what_was_sent": same,
            "peers": figures,
        }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 3), indent=2))

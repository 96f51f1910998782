"""The other ways of an instance: as chunks, and through the journal while nobody answers.

``python -m scripts.bench_ingest_modes`` prints JSON. A second gateway runs beside the stack's own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from scripts.bench_ingest import send
from scripts.bench_instances import draw
from scripts.bench_peers import Ours, cpu_seconds
from tests.support.gateway_process import GatewayProcess

ASSOCIATIONS: Final = 4
EACH: Final = 150
_DRAIN_S: Final = 120.0


def _gateway(ours: Ours, folder: Path, intake: Path, **settings: str) -> GatewayProcess:
    run = Path(ours.stack.state.run)
    return GatewayProcess(
        folder,
        data=folder,
        before=(),
        TOKEN_FILE=str(run / "tokens" / "gateway.jwt"),
        JWKS_FILE=str(run / "jwks.json"),
        MESH=f"unix:{run / 'mesh.sock'}",
        GATEWAY_INTAKE_ADDRESS=f"unix:{intake}",
        **settings,
    )


def _rate(port: int, work: Path) -> float:
    folders = draw(work, ASSOCIATIONS, EACH)
    seconds, failed = send(port, folders)
    if failed:
        raise RuntimeError(f"{failed} associations failed")
    return ASSOCIATIONS * EACH / seconds


async def _chunks(ours: Ours, work: Path) -> dict[str, float]:
    """Instances a second of a gateway that shares no blob store, and what they cost it."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="hb") as folder:
        intake = Path(ours.stack.state.run) / "coordinator.sock"
        gateway = _gateway(ours, Path(folder), intake, GATEWAY_CONTENT="chunks")
        await gateway.start()
        processes = {"gateway": gateway.pid, "coordinator": ours.stack.pid("coordinator")}
        await asyncio.to_thread(_rate, gateway.port, work)
        before = cpu_seconds(processes)
        rate = await asyncio.to_thread(_rate, gateway.port, work)
        after = cpu_seconds(processes)
        gateway.stop()
        sent = ASSOCIATIONS * EACH
        cost = {f"cpu_{k}_s": 1000 * (after[k] - before[k]) / sent for k in processes}
        return {"per_s": rate, **cost}


async def _journal(ours: Ours, work: Path) -> dict[str, float]:
    """Instances a second while the coordinator is away, and when what was kept is sent on."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="hb") as folder:
        intake = Path(folder) / "intake.sock"
        blobs = (ours.stack.data / "blobs").as_uri()
        gateway = _gateway(ours, Path(folder), intake, BLOBS=blobs)
        await gateway.start()
        rate = await asyncio.to_thread(_rate, gateway.port, work)
        journal = Path(folder) / "journal"
        kept = sum(path.stat().st_size for path in journal.glob("*.journal"))
        intake.symlink_to(Path(ours.stack.state.run) / "coordinator.sock")
        began = time.perf_counter()
        while list(journal.glob("*.journal")):
            if time.perf_counter() - began > _DRAIN_S:
                raise RuntimeError("the journal does not drain")
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - began
        gateway.stop()
        sent = ASSOCIATIONS * EACH
        return {"per_s": rate, "drained_per_s": sent / seconds, "bytes_each": kept / sent}


def run() -> dict[str, Any]:
    """Measure both."""
    with tempfile.TemporaryDirectory(dir="/tmp") as work, Ours() as ours:
        return {
            "chunks": asyncio.run(_chunks(ours, Path(work))),
            "journal": asyncio.run(_journal(ours, Path(work))),
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(), indent=2))

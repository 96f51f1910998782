"""WADO-RS beside Orthanc's plugin, in one run: metadata, frames, pictures.

Both hold the same series of 512 KiB slices. Ours is asked through Envoy with a token, Orthanc
directly and without one; each over connections that stay open. Every answer is read whole, and
frames must be the same bytes on both sides.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from heimdallr.archive.v1.archive_service_pb2 import ListStudiesRequest
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel
from tests.support.dcmtk import storescu
from tests.support.orthanc import RunningOrthanc
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel, results

INSTANCES: Final = 500
FRAMES: Final = 60
PARALLEL: Final = 8
ROUNDS: Final = 3
METADATA: Final = f"metadata of {INSTANCES} instances"
ONE_BY_ONE: Final = "frames, one at a time"
IN_PARALLEL: Final = f"frames, {PARALLEL} at a time"
_COUNTS: Final = {
    ONE_BY_ONE: FRAMES,
    IN_PARALLEL: FRAMES,
    "pictures": FRAMES // 2,
    "pictures, the first time": FRAMES // 2,
}
_CONVERTED_S: Final = 300.0
_FRAME: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


@dataclass(frozen=True, slots=True)
class Peer:
    """One of the two servers."""

    name: str
    session: aiohttp.ClientSession
    root: str

    async def get(self, path: str, accept: str) -> bytes:
        """Return a body, decoded, once it is whole."""
        async with self.session.get(self.root + path, headers={"Accept": accept}) as answer:
            body = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{self.name}: {answer.status}")
            return body


@dataclass(frozen=True, slots=True)
class Series:
    """What is asked for."""

    path: str
    instances: list[str]


Task = Callable[[Peer], Awaitable[object]]
Figures = dict[str, dict[str, float]]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


async def _metadata(peer: Peer, series: Series) -> bytes:
    return await peer.get(f"{series.path}/metadata", "application/dicom+json")


async def _frames(peer: Peer, series: Series, parallel: int) -> None:
    waiting = iter(series.instances[:FRAMES])

    async def fetch() -> None:
        for instance in waiting:
            await peer.get(f"{series.path}/instances/{instance}/frames/1", _FRAME)

    await asyncio.gather(*[fetch() for _ in range(parallel)])


async def _pictures(peer: Peer, series: Series, query: str = "") -> None:
    for instance in series.instances[: FRAMES // 2]:
        await peer.get(f"{series.path}/instances/{instance}/rendered{query}", "image/jpeg")


async def _frame_digests(peer: Peer, series: Series) -> list[str]:
    digests = []
    for instance in series.instances[:FRAMES]:
        body = await peer.get(f"{series.path}/instances/{instance}/frames/1", _FRAME)
        begin = body.index(b"\r\n\r\n") + 4
        end = body.rindex(b"\r\n--")
        digests.append(hashlib.sha256(body[begin:end]).hexdigest())
    return digests


async def compare(ours: Peer, theirs: Peer, series: Series) -> Figures:
    """Return seconds by what was asked and of whom: once for the first time, then the median.

    Raises:
        RuntimeError: The two do not hold the same.
    """
    first: dict[str, Task] = {
        "metadata, the first time": lambda peer: _metadata(peer, series),
        "pictures, the first time": lambda peer: _pictures(peer, series),
    }
    again: dict[str, Task] = {
        METADATA: lambda peer: _metadata(peer, series),
        ONE_BY_ONE: lambda peer: _frames(peer, series, 1),
        IN_PARALLEL: lambda peer: _frames(peer, series, PARALLEL),
        "pictures": lambda peer: _pictures(peer, series),
    }
    last = Series(series.path, series.instances[-1:])
    for peer in (ours, theirs):
        # Processes that draw are started by the first picture, which is none of those asked for.
        await _pictures(peer, last)
    figures = {name: await _rounds((ours, theirs), task, 1) for name, task in first.items()}
    await _check(ours, theirs, series)
    for name, task in again.items():
        figures[name] = await _rounds((ours, theirs), task, ROUNDS)
        _say(f"{name}: {figures[name]}")
    return figures


async def _rounds(peers: tuple[Peer, Peer], task: Task, count: int) -> dict[str, float]:
    """Return the median time of each peer; they take turns."""
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(count):
        for peer in peers:
            began = time.perf_counter()
            await task(peer)
            seconds[peer.name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


async def _check(ours: Peer, theirs: Peer, series: Series) -> None:
    if await _frame_digests(ours, series) != await _frame_digests(theirs, series):
        raise RuntimeError("the two give different pixels")
    for peer in (ours, theirs):
        if len(json.loads(await _metadata(peer, series))) != len(series.instances):
            raise RuntimeError(f"{peer.name}: metadata is not whole")


def _draw(folder: Path) -> PhantomStudy:
    study = PhantomStudy()
    write_series(ChestCtPhantom(7, shape=(INSTANCES, 512, 512)), folder, study)
    return study


async def _converted(channel: MeshChannel, uid: str) -> None:
    """Wait until conversion has described and converted the series, and is idle."""
    archive = ArchiveServiceStub(channel)
    async with asyncio.timeout(_CONVERTED_S):
        while True:
            found = (await archive.ListStudies(ListStudiesRequest(study_instance_uid=uid))).studies
            made = (await results(channel, found[0].study_id)).series if found else []
            if made and made[0].HasField("metadata") and made[0].HasField("volume"):
                return
            await asyncio.sleep(1)


async def _measured(stack: RunningStack, orthanc: RunningOrthanc, study: PhantomStudy) -> Figures:
    async with operator_channel(stack) as channel:
        await _converted(channel, study.study_instance_uid)
    token = (Path(stack.state.run) / "tokens" / "operator.jwt").read_text().strip()
    path = f"/studies/{study.study_instance_uid}/series/{study.series_instance_uid}"
    series = Series(path, [study.sop_instance_uid(n) for n in range(INSTANCES)])
    bearer = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=bearer) as own, aiohttp.ClientSession() as other:
        ours = Peer("heimdallr", own, f"http://127.0.0.1:{stack.http_port}/dicom-web")
        return await compare(ours, Peer("orthanc", other, orthanc.dicomweb_url), series)


def measure() -> Figures:
    """Fill both with the same series and compare them."""
    with tempfile.TemporaryDirectory(dir="/tmp") as work:
        folder = Path(work)
        _say("drawing a series")
        study = _draw(folder)
        # Nothing is computed beside what is measured.
        away = [f"--without={name}" for name in ("triton", "analysis", "reporting", "deid")]
        with RunningStack(arguments=tuple(away)) as stack, RunningOrthanc() as orthanc:
            for port in (stack.dicom_port, orthanc.dicom_port):
                storescu(port, [folder], "+sd").check_returncode()
            if orthanc.instance_count() != INSTANCES:
                raise RuntimeError("Orthanc does not hold every instance")
            return asyncio.run(_measured(stack, orthanc, study))


def rows() -> list[tuple[str, str, str]]:
    """Return what was measured as lines: what, ours, beside."""
    lines = []
    for name, seconds in measure().items():
        ours, theirs = seconds["heimdallr"], seconds["orthanc"]
        count = _COUNTS.get(name, 1)
        lines.append(
            (
                f"WADO-RS: {name}",
                f"{1000 * ours / count:.1f} ms each",
                f"Orthanc's plugin {1000 * theirs / count:.1f} ms; ratio {theirs / ours:.2f}",
            )
        )
    return lines


def main() -> int:
    """Print the figures."""
    if "--json" in sys.argv[1:]:
        sys.stdout.write(json.dumps(measure(), indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

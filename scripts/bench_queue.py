"""Measures the queue with 100,000 stages that wait, over a database of its own.

Prints JSON: rates of enqueueing and draining (with no work behind the stages), memory of this
process, and how soon an urgent study begins when it is put in last.

``python -m scripts.bench_queue [COUNT]``
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from services.coordinator.archive.store import ArchiveStore
from services.coordinator.workflow import store
from services.coordinator.workflow.dispatcher import Dispatcher, DispatchRules
from services.coordinator.workflow.lifecycle import StageLifecycle
from services.coordinator.workflow.pgqueuer_queue import PgQueuerQueue
from services.coordinator.workflow.plan import StageSpec
from services.coordinator.workflow.progression import Progression
from services.coordinator.workflow.runner import Attempt, ProgressSink, StageResult
from services.coordinator.workflow.stages import Priority, StageKind
from services.runtime.ids import new_id
from services.runtime.logs import configure_logs
from services.runtime.migrate import apply
from services.runtime.postgres import Pool, connection, open_pool, transaction
from tests.support.postgres import embedded_postgres

_PACKAGES: Final = tuple(
    f"services.coordinator.{name}" for name in ("archive", "events", "workflow")
)
_SERIES_PER_STUDY: Final = 10
_DRAIN_FOR_S: Final = 20.0
_DATABASE: Final = "bench_queue"


class NoWork:
    """Counts stages, and notes when an urgent one begins."""

    def __init__(self) -> None:
        self.count = 0
        self.urgent = asyncio.Event()

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """See `StageRunner`."""
        self.count += 1
        if attempt.stage.priority == Priority.STAT:
            self.urgent.set()
        return StageResult(output_key="nothing")


class Bench:
    """One run."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._archive = ArchiveStore(pool)
        self._queue = PgQueuerQueue(pool, timedelta(seconds=15))
        self._progression = Progression(self._archive, self._queue)

    async def fill(self, studies: int) -> float:
        """Put in studies of ten series each and return how long it took, in seconds."""
        ids = await self._make_studies(studies, Priority.ROUTINE)
        begun = time.perf_counter()
        for study_id in ids:
            await self._queue_study(study_id, Priority.ROUTINE)
        return time.perf_counter() - begun

    async def urgent_delay(self) -> float:
        """Put in one urgent study behind all others; seconds until its work begins."""
        runner = NoWork()
        dispatcher = self._dispatcher(runner)
        task = asyncio.create_task(dispatcher.run())
        await asyncio.sleep(1)
        (study_id,) = await self._make_studies(1, Priority.STAT)
        begun = time.perf_counter()
        await self._queue_study(study_id, Priority.STAT)
        dispatcher.wake()
        await asyncio.wait_for(runner.urgent.wait(), 60)
        delay = time.perf_counter() - begun
        await _stop(task)
        return delay

    async def drain_rate(self) -> float:
        """Do stages for a while and return how many were done a second."""
        runner = NoWork()
        task = asyncio.create_task(self._dispatcher(runner).run())
        begun = time.perf_counter()
        await asyncio.sleep(_DRAIN_FOR_S)
        rate = runner.count / (time.perf_counter() - begun)
        await _stop(task)
        return rate

    def _dispatcher(self, runner: NoWork) -> Dispatcher:
        lifecycle = StageLifecycle(self._pool, self._archive, self._queue, "bench")
        rules = DispatchRules(limits=dict.fromkeys(StageKind, 0))
        return Dispatcher(self._queue, lifecycle, runner, rules)

    async def _make_studies(self, count: int, priority: Priority) -> list[str]:
        ids = [new_id() for _ in range(count)]
        async with transaction(self._pool) as borrowed:
            await borrowed.execute(
                "WITH p AS (INSERT INTO archive.patient "
                "(patient_id, patient_key, patient_id_text, issuer_of_patient_id) "
                "SELECT i, i::text, '', '' FROM unnest($1::uuid[]) AS i) "
                "INSERT INTO archive.study (study_id, study_instance_uid, patient_id, "
                "patient_id_text, issuer_of_patient_id, patient_name, patient_birth_date, "
                "patient_sex, study_date, study_day, study_time, accession_number, study_id_text, "
                "study_description, referring_physician_name, state, priority, search) "
                "SELECT i, i::text, i, '', '', '', '', '', '', '', '', '', '', '', '', 'complete', "
                "$2, ''::tsvector FROM unnest($1::uuid[]) AS i",
                ids,
                priority,
            )
        return ids

    async def _queue_study(self, study_id: str, priority: Priority) -> None:
        specs = [StageSpec(StageKind.DESCRIBE, new_id()) for _ in range(_SERIES_PER_STUDY)]
        async with transaction(self._pool) as borrowed:
            await self._archive.lock_study(borrowed, study_id)
            await store.insert_stages(
                borrowed, study_id, 1, specs, priority=priority, correlation_id="bench"
            )
            await self._progression.advance(borrowed, study_id, 1)


def _peak_memory_mib() -> int:
    # Not getrusage: its maximum is that of whatever process started this one, if that was larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return round(int(kib) / 1024)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _measure(dsn: str, count: int) -> dict[str, float]:
    pool = await open_pool(dsn, application_name="bench", max_size=10)
    await apply(pool, _PACKAGES)
    bench = Bench(pool)
    fill_s = await bench.fill(count // _SERIES_PER_STUDY)
    async with connection(pool) as borrowed:
        await borrowed.execute("ANALYZE")
        queued = await borrowed.fetchval("SELECT count(*) FROM workflow.pgqueuer")
    delay_s = await bench.urgent_delay()
    rate = await bench.drain_rate()
    await pool.close()
    return {
        "pending_stages": queued,
        "enqueue_per_s": round(queued / fill_s),
        "drain_per_s": round(rate),
        "urgent_start_s": round(delay_s, 3),
        "peak_memory_mib": _peak_memory_mib(),
        "cpu_count": os.cpu_count() or 0,
    }


async def _run(server_dsn: str, count: int) -> dict[str, float]:
    maintenance = await asyncpg.connect(server_dsn)
    await maintenance.execute(f"CREATE DATABASE {_DATABASE}")
    await maintenance.close()
    parts = urlsplit(server_dsn)
    return await _measure(urlunsplit(parts._replace(path=f"/{_DATABASE}")), count)


def main() -> None:
    """Measure and print."""
    configure_logs("ERROR", "bench", sys.stderr)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with embedded_postgres() as dsn:
        figures = asyncio.run(_run(dsn, count))
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

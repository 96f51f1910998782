"""Measures how soon watchers behind Envoy's public listener learn what was committed.

Starts a whole stack on an empty folder, opens streams as browsers and programs do (gRPC-Web over
HTTP/1.1 and gRPC over HTTP/2; events, and the work on one study), commits changes to the database
and prints JSON: time from commit to client in milliseconds, and memory in MiB.

``python -m scripts.bench_watch [WATCHERS] [CHANGES_PER_SECOND]``
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import AsyncIterable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
import asyncpg
import grpc
import psutil

from heimdallr.events.v1 import events_service_pb2 as events_pb
from heimdallr.events.v1.events_service_pb2_grpc import EventsServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.coordinator.events.outbox import EventDraft, EventType, append_event
from services.runtime.ids import new_id
from tests.support import grpc_web
from tests.support.running_stack import RunningStack

_STUDIES: Final = 20
_CHANGES: Final = 60
_STREAMS_PER_CONNECTION: Final = 90
_WATCH_EVENTS: Final = "/heimdallr.events.v1.EventsService/WatchEvents"
_WATCH_WORKFLOW: Final = "/heimdallr.workflow.v1.WorkflowService/WatchStudyWorkflow"
_LEFT_OUT: Final = ("conversion", "analysis", "reporting", "deid", "triton")
_MIB: Final = 1 << 20
_Answer = TypeVar("_Answer")


class Watching:
    """Streams, and when each of them learnt of each change."""

    def __init__(self, target: str, token: str, studies: list[str]) -> None:
        self.committed: dict[str, float] = {}
        self.delays_ms: dict[str, list[float]] = {"events": [], "workflow": []}
        self.opened = 0
        self._calls = 0
        self.failed: list[str] = []
        self._target = target
        self._token = token
        self._studies = studies
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._channels: list[grpc.aio.Channel] = []

    async def open(self, count: int) -> None:
        """Open so many streams: every second one of events, every second pair by gRPC-Web."""
        cookies = {"heimdallr_session": self._token}
        web = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                f"http://{self._target}",
                cookies=cookies,
                cookie_jar=aiohttp.CookieJar(unsafe=True),
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        )
        for number in range(count):
            study_id = self._studies[number % len(self._studies)]
            by_web = number // 2 % 2 == 0
            if number % 2 == 0:
                watch = self._events(web if by_web else None)
            else:
                watch = self._workflow(web if by_web else None, study_id)
            self._tasks.append(asyncio.create_task(watch))
            if number % 50 == 49:
                await asyncio.sleep(0.2)
        async with asyncio.timeout(60):
            while self.opened < count and not self.failed:  # noqa: ASYNC110 -- many tasks count
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """End every stream."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close()
        await self._stack.aclose()

    async def _events(self, web: aiohttp.ClientSession | None) -> None:
        request = events_pb.WatchEventsRequest()
        answers: AsyncIterable[events_pb.WatchEventsResponse]
        if web is not None:
            answers = grpc_web.stream(web, _WATCH_EVENTS, request, events_pb.WatchEventsResponse)
        else:
            stub = EventsServiceStub(self._channel())
            answers = stub.WatchEvents(request, metadata=self._metadata())
        await self._follow("events", answers, lambda answer: [answer.event.correlation_id])

    async def _workflow(self, web: aiohttp.ClientSession | None, study_id: str) -> None:
        request = workflow_pb.WatchStudyWorkflowRequest(study_id=study_id)
        answers: AsyncIterable[workflow_pb.WatchStudyWorkflowResponse]
        if web is not None:
            kind = workflow_pb.WatchStudyWorkflowResponse
            answers = grpc_web.stream(web, _WATCH_WORKFLOW, request, kind)
        else:
            stub = WorkflowServiceStub(self._channel())
            answers = stub.WatchStudyWorkflow(request, metadata=self._metadata())
        await self._follow(
            "workflow",
            answers,
            lambda answer: [stage.progress.activity for stage in answer.workflow.stages],
        )

    async def _follow(
        self, kind: str, answers: AsyncIterable[_Answer], marks: Callable[[_Answer], list[str]]
    ) -> None:
        seen = {""}
        # A watch of events says nothing before its first event or heartbeat.
        self.opened += kind == "events"
        try:
            async for answer in answers:
                now = time.monotonic()
                self.opened += kind == "workflow" and "opened" not in seen
                seen.add("opened")
                for mark in marks(answer):
                    if mark not in seen and mark in self.committed:
                        seen.add(mark)
                        self.delays_ms[kind].append((now - self.committed[mark]) * 1000)
        except (grpc.aio.AioRpcError, grpc_web.GrpcWebError, aiohttp.ClientError) as error:
            self.failed.append(type(error).__name__)

    def _channel(self) -> grpc.aio.Channel:
        # Envoy takes 100 at once on one connection.
        self._calls += 1
        if self._calls % _STREAMS_PER_CONNECTION == 1:
            options = (("grpc.use_local_subchannel_pool", 1),)
            self._channels.append(grpc.aio.insecure_channel(self._target, options))
        return self._channels[-1]

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._token}"),)


async def _main(watchers: int, per_second: float) -> None:
    arguments = tuple(word for name in _LEFT_OUT for word in ("--without", name))
    with RunningStack(arguments=arguments) as stack:
        state = stack.state
        token = (Path(state.run) / "tokens" / "operator.jwt").read_text().strip()
        database = await asyncpg.connect(state.addresses.database)
        studies = [await _study(database) for _ in range(_STUDIES)]
        before = _memory(stack)
        watching = Watching(f"127.0.0.1:{stack.http_port}", token, studies)
        try:
            await watching.open(watchers)
            opened = _memory(stack)
            cpu = _cpu(stack)
            began = time.monotonic()
            await _change(database, studies, watching, per_second)
            await asyncio.sleep(3)
            used = (_cpu(stack) - cpu) / (time.monotonic() - began)
            after = _memory(stack)
        finally:
            await watching.close()
            await database.close()
    result = {
        "watchers": watchers,
        "opened": watching.opened,
        "failed": len(watching.failed),
        "changes_per_second": per_second,
        "memory_mib": {"empty": before, "opened": opened, "after": after},
        "coordinator_cores": round(used, 2),
        **{kind: _summary(delays) for kind, delays in watching.delays_ms.items()},
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


async def _change(
    database: asyncpg.Connection[asyncpg.Record],
    studies: list[str],
    watching: Watching,
    per_second: float,
) -> None:
    for number in range(_CHANGES):
        study_id, mark = studies[number % len(studies)], f"change-{number}"
        draft = EventDraft(
            EventType.STAGE_STATE_CHANGED,
            study_id,
            stage_id=study_id,
            stage_name="plan",
            state="STAGE_STATE_RUNNING",
            generation=1,
            correlation_id=mark,
        )
        transaction = database.transaction()
        await transaction.start()
        await database.execute(
            "UPDATE workflow.stage SET progress_activity = $2, update_time = clock_timestamp()"
            " WHERE study_id = $1",
            study_id,
            mark,
        )
        await append_event(database, draft)
        # Before the commit is asked for: what is measured is never too short.
        watching.committed[mark] = time.monotonic()
        await transaction.commit()
        await asyncio.sleep(1 / per_second)


async def _study(database: asyncpg.Connection[asyncpg.Record]) -> str:
    study_id = new_id()
    await database.execute(
        "INSERT INTO archive.patient (patient_id, patient_key, patient_id_text,"
        " issuer_of_patient_id) VALUES ($1, $2, '', '')",
        study_id,
        study_id,
    )
    await database.execute(
        "INSERT INTO archive.study (study_id, study_instance_uid, patient_id, patient_id_text,"
        " issuer_of_patient_id, patient_name, patient_birth_date, patient_sex, study_date,"
        " study_day, study_time, accession_number, study_id_text, study_description,"
        " referring_physician_name, state, search) VALUES ($1, $2, $1, '', '', '', '', '', '', '',"
        " '', '', '', '', '', 'processing', '')",
        study_id,
        study_id,
    )
    await database.execute(
        "INSERT INTO workflow.stage (stage_id, study_id, generation, name, state,"
        " progress_fraction) VALUES ($1, $1, 1, 'plan', 'running', 0.5)",
        study_id,
    )
    return study_id


def _memory(stack: RunningStack) -> dict[str, float]:
    names = ("coordinator", "envoy", "gateway")
    used = {name: psutil.Process(stack.pid(name)).memory_info().rss for name in names}
    return {name: round(size / _MIB, 1) for name, size in used.items()}


def _cpu(stack: RunningStack) -> float:
    times = psutil.Process(stack.pid("coordinator")).cpu_times()
    return float(times.user + times.system)


def _summary(delays: list[float]) -> dict[str, float]:
    if len(delays) < 2:
        return {"count": len(delays)}
    parts = statistics.quantiles(delays, n=100)
    return {
        "count": len(delays),
        "p50_ms": round(parts[49], 1),
        "p99_ms": round(parts[98], 1),
        "max_ms": round(max(delays), 1),
    }


if __name__ == "__main__":
    asyncio.run(
        _main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 200,
            float(sys.argv[2]) if len(sys.argv) > 2 else 5.0,
        )
    )

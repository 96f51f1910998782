from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc

from gateway.sources.runner import Runner
from gateway.sources.settings import SourceSettings
from gateway.sources.work import SourceError, Work
from heimdallr.sources.v1 import sources_service_pb2 as pb
from services.runtime.client import ServiceCallError
from services.runtime.ids import new_id
from tests.gateway.conftest import until
from tests.gateway.sources.conftest import Registry

SETTINGS = SourceSettings(at_once=2, ask_every_s=0.01)


class Queue(Registry):
    """A registry with turns to give away."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self.turns = [_turn(kind) for kind in kinds]

    async def TakeTurn(self, request: pb.TakeTurnRequest) -> pb.TakeTurnResponse:  # noqa: N802
        return pb.TakeTurnResponse(turn=self.turns.pop(0) if self.turns else None)


def _turn(kind: str) -> pb.Turn:
    spec = pb.SourceSpec(name=kind)
    getattr(spec, kind).SetInParent()
    return pb.Turn(turn_id=new_id(), source=pb.Source(source_id=new_id(), spec=spec))


async def ended(queue: Queue, count: int, **workers: object) -> list[str]:
    runner = Runner(queue, workers, SETTINGS)  # type: ignore[arg-type]
    running = asyncio.create_task(runner.run())
    try:
        await until(lambda: len(queue.ended) == count)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return sorted(request.failure for request in queue.ended)


async def test_each_turn_ends_with_what_came_of_it() -> None:
    async def good(work: Work) -> None:
        work.cursor = "7"

    async def bad(_work: Work) -> None:
        raise SourceError("Orthanc does not answer")

    async def unreached(_work: Work) -> None:
        text = "the peer cannot be reached: it is off"
        code, reason = grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_PEER_UNREACHABLE"
        raise ServiceCallError(code, reason, {}, text)

    async def broken(_work: Work) -> None:
        raise ZeroDivisionError("DOE^JOHN")

    queue = Queue("watch_folder", "orthanc", "qido", "dimse")

    failures = await ended(queue, 4, watch_folder=good, orthanc=bad, qido=unreached, dimse=broken)

    assert failures == [
        "",
        "Orthanc does not answer",
        "something failed on our side: see the gateway's log",
        "the peer cannot be reached: it is off",
    ]


async def test_one_slow_source_holds_up_no_other() -> None:
    never = asyncio.Event()

    async def slow(_work: Work) -> None:
        await never.wait()

    async def quick(_work: Work) -> None:
        pass

    queue = Queue("orthanc", "qido", "dimse")

    assert await ended(queue, 2, orthanc=slow, qido=quick, dimse=quick) == ["", ""]
    # The turn of the one that was stopped is given back.
    assert [request.hold_s for request in queue.kept] == [5]


async def test_a_paused_source_is_left_at_its_next_step() -> None:
    steps = 0

    async def stepping(work: Work) -> None:
        nonlocal steps
        while True:
            steps += 1
            await work.keep()

    queue = Queue("orthanc")
    queue.stop = True

    assert await ended(queue, 1, orthanc=stepping) == [""]
    assert steps == 1

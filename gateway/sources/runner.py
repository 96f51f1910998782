"""Takes turns at sources, and works on each until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from gateway.sources.settings import SourceSettings
from gateway.sources.work import SourceError, TurnEndedError, Work
from heimdallr.sources.v1 import sources_service_pb2 as pb
from heimdallr.sources.v1 import sources_service_pb2_grpc as pb_grpc
from services.runtime import logs
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.correlation import set_correlation_id
from services.runtime.errors import ServiceError, StorageFullError
from services.runtime.ids import new_id

FAILED: Final = "source.failed"
DONE: Final = "source.done"
LOST: Final = "source.turn_lost"
UNEXPECTED: Final = "source.unexpected_error"
_LONGEST_PAUSE_S: Final = 30.0
_GIVE_BACK_S: Final = 1.0

Worker = Callable[[Work], Awaitable[None]]


class Runner:
    """Works on sources until cancelled.

    Args:
        stub: The registry of sources.
        workers: What to do with each kind, by the name of its field in ``SourceSpec``.
        settings: How.
    """

    def __init__(
        self,
        stub: pb_grpc.SourcesServiceAsyncStub,
        workers: Mapping[str, Worker],
        settings: SourceSettings,
    ) -> None:
        self._stub = stub
        self._workers = workers
        self._settings = settings
        self._gateway_id = new_id()

    async def run(self) -> None:
        """Take turns until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.at_once):
                group.create_task(self._take_turns())

    async def _take_turns(self) -> None:
        pause_s = self._settings.ask_every_s
        while True:
            turn = None
            try:
                turn = await self._turn()
                pause_s = self._settings.ask_every_s
            except (ServiceCallError, OSError):
                # The coordinator is away; the intake says so in the log already.
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            if turn is None:
                await asyncio.sleep(pause_s)
            else:
                await self._work(turn)

    async def _turn(self) -> pb.Turn | None:
        request = pb.TakeTurnRequest(gateway_id=self._gateway_id, hold_s=self._settings.hold_s)
        with typed_errors():
            answer = await self._stub.TakeTurn(request)
        return answer.turn if answer.HasField("turn") else None

    async def _work(self, turn: pb.Turn) -> None:
        set_correlation_id(turn.turn_id)
        work = Work(turn, self._stub, self._settings.hold_s)
        source_id = turn.source.source_id
        try:
            failure = await self._worked(work)
            await work.end(failure)
        except asyncio.CancelledError:
            with suppress(ServiceCallError, TurnEndedError, TimeoutError):
                async with asyncio.timeout(_GIVE_BACK_S):
                    await work.give_back()
            raise
        except (TurnEndedError, ServiceCallError):
            logs.get_logger().warning(LOST, source_id=source_id)
            with suppress(ServiceCallError, TurnEndedError):
                await work.end("")
            return
        event = FAILED if failure else DONE
        counts = work.counts
        logs.get_logger().info(
            event,
            source_id=source_id,
            stored=counts.stored,
            known=counts.known,
            refused=counts.refused,
        )

    async def _worked(self, work: Work) -> str:
        """Do the work and return why it failed; empty when it succeeded."""
        worker = self._workers.get(work.spec.WhichOneof("kind") or "")
        if worker is None:
            return "this gateway does not know such sources"
        working = asyncio.create_task(_awaited(worker(work)))
        holding = asyncio.create_task(work.hold())
        try:
            await asyncio.wait({working, holding}, return_when=asyncio.FIRST_COMPLETED)
            if holding.done() and not working.done():
                raise TurnEndedError
            return await _failure(working)
        finally:
            for task in (working, holding):
                task.cancel()
            await asyncio.gather(working, holding, return_exceptions=True)


async def _awaited(work: Awaitable[None]) -> None:
    await work


async def _failure(working: asyncio.Task[None]) -> str:
    try:
        await working
    except SourceError as error:
        return error.sentence
    except TurnEndedError:
        raise
    except StorageFullError:
        return "there is no room to store more"
    except ServiceCallError as error:
        return error.text if error.reason else "a part of the system cannot be reached"
    except ServiceError as error:
        return error.message
    except Exception as error:
        logs.get_logger().error(UNEXPECTED, **logs.failure(error))
        return "something failed on our side: see the gateway's log"
    return ""

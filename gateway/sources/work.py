"""One turn at a source: what it did so far, told to the coordinator while it goes on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from gateway.handover import Disposition
from heimdallr.sources.v1 import sources_service_pb2 as pb
from heimdallr.sources.v1 import sources_service_pb2_grpc as pb_grpc
from services.runtime.client import ServiceCallError, typed_errors

_MAX_TEXT: Final = 200
_PATIENCE_S: Final = 1.0
_SHORTEST_HOLD_S: Final = 5


class SourceError(Exception):
    """A source cannot be fetched from now.

    Attributes:
        sentence: Why, for a person; no patient data.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class TurnEndedError(Exception):
    """The turn is over: the source was paused, or another gateway has it."""


@dataclass
class Work:
    """What a turn is about and what it did so far.

    Attributes:
        turn: The turn.
        stub: Who is told.
        hold_s: How long the turn is held.
        counts: What it brought.
        cursor: Where the next turn goes on; None while that is where it was.
        text: How far it is, in a sentence of ours.
        done_notices: Notices that were looked at and are not forgotten yet.
        reconciled: Whether everything was looked at again.
    """

    turn: pb.Turn
    stub: pb_grpc.SourcesServiceAsyncStub
    hold_s: int
    counts: pb.Counts = field(default_factory=pb.Counts)
    cursor: str | None = None
    text: str = ""
    done_notices: list[str] = field(default_factory=list)
    reconciled: bool = False
    _told: float = field(default_factory=time.monotonic)

    @property
    def spec(self) -> pb.SourceSpec:
        """What is registered of the source."""
        return self.turn.source.spec

    @property
    def reached(self) -> str:
        """Where the turn is: its own cursor, or that of the last one."""
        return self.turn.cursor if self.cursor is None else self.cursor

    def count(self, disposition: Disposition) -> None:
        """Note an instance that is durable."""
        if disposition is Disposition.DUPLICATE:
            self.counts.known += 1
        else:
            self.counts.stored += 1

    async def keep(self) -> None:
        """Tell how far it is; durable on return.

        Raises:
            TurnEndedError: The turn is over.
            ServiceCallError: The coordinator cannot be told.
        """
        done = list(self.done_notices)
        request = pb.KeepTurnRequest(
            source_id=self.turn.source.source_id,
            turn_id=self.turn.turn_id,
            progress=self._progress(done),
            hold_s=self.hold_s,
        )
        try:
            with typed_errors():
                answer = await self.stub.KeepTurn(request)
        except ServiceCallError as error:
            if error.reason == "ERROR_REASON_TURN_LOST":
                raise TurnEndedError from None
            raise
        self._told = time.monotonic()
        del self.done_notices[: len(done)]
        if answer.stop:
            raise TurnEndedError

    async def keep_now_and_then(self) -> None:
        """Tell how far it is if that was not told of late; see `keep`."""
        if time.monotonic() - self._told > _PATIENCE_S:
            await self.keep()

    async def hold(self) -> None:
        """Keep the turn until cancelled, whatever the work waits for; see `keep`."""
        while True:
            await asyncio.sleep(self.hold_s / 4)
            try:
                await self.keep()
            except ServiceCallError as error:
                if time.monotonic() - self._told > self.hold_s or not error.retryable:
                    raise TurnEndedError from None

    async def give_back(self) -> None:
        """Let another gateway, or ourselves once started again, go on soon; see `keep`."""
        self.hold_s = _SHORTEST_HOLD_S
        await self.keep()

    async def end(self, failure: str) -> None:
        """Tell how it ended; see `keep`."""
        request = pb.EndTurnRequest(
            source_id=self.turn.source.source_id,
            turn_id=self.turn.turn_id,
            progress=self._progress(self.done_notices),
            failure=failure[:_MAX_TEXT],
            reconciled=self.reconciled,
        )
        with typed_errors():
            await self.stub.EndTurn(request)

    def _progress(self, done: list[str]) -> pb.TurnProgress:
        progress = pb.TurnProgress(
            counts=self.counts, text=self.text[:_MAX_TEXT], done_orthanc_ids=done
        )
        if self.cursor is not None:
            progress.cursor = self.cursor
        return progress

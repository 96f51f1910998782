"""Group commit: what all streams hand over is written in batches.

While one batch is being flushed the next one gathers, so a lone instance waits for nothing and a
flood needs one flush for hundreds.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from services.coordinator.archive.arrival import Indexed
from services.coordinator.intake.envelope import Departure, Envelope
from services.coordinator.intake.flushing import Flush, Flusher, UnflushedError, all_flushed
from services.coordinator.intake.rejection import RejectedError
from services.coordinator.intake.staged import StagedBlobs
from services.coordinator.intake.store import UnfitBatchError
from services.runtime import logs
from services.runtime.errors import ServiceError

UNFIT: Final = "intake.unfit_instance"
BATCH_FAILED: Final = "intake.batch_failed"


class BatchStore(Protocol):
    """Writes batches."""

    async def commit_known(
        self, envelopes: Sequence[Envelope], durable: Callable[[], Awaitable[None]] | None
    ) -> dict[str, Indexed]:
        """See ``IntakeStore``."""
        ...

    async def commit(
        self, envelopes: Sequence[Envelope], departures: Sequence[Departure]
    ) -> list[Indexed]:
        """See ``IntakeStore``."""
        ...

    async def close(self) -> None:
        """See ``IntakeStore``."""
        ...


@dataclass(frozen=True, slots=True)
class _Pending:
    item: Envelope | Departure
    done: asyncio.Future[Indexed | None]
    flush: Flush | None = None


class Committer:
    """Takes instances of all streams and answers each once it is durable.

    Args:
        store: Writes batches.
        staged: Knows which blobs are there.
        flusher: Flushes those that were only written.
        batch_size: Most items in one transaction.
        queue_size: Most items that wait; senders are held up beyond.
    """

    def __init__(
        self,
        store: BatchStore,
        staged: StagedBlobs,
        flusher: Flusher | None = None,
        *,
        batch_size: int = 512,
        queue_size: int = 4096,
    ) -> None:
        self._store = store
        self._staged = staged
        self._flusher = flusher
        self._batch_size = batch_size
        self._queue: asyncio.Queue[_Pending] = asyncio.Queue(queue_size)

    async def submit(self, item: Envelope | Departure) -> asyncio.Future[Indexed | None]:
        """Hand over an instance or a departure.

        Returns:
            Done when it is durable: with what became of an instance, None for a departure.
            Fails with `RejectedError`, or a `ServiceError` that ends the stream.
        """
        done: asyncio.Future[Indexed | None] = asyncio.get_running_loop().create_future()
        flush = None
        if isinstance(item, Envelope) and item.written:
            if self._flusher is None:
                raise RejectedError("content", "staged or chunked must be set")
            flush = self._flusher.start(item.blob)
        await self._queue.put(_Pending(item, done, flush))
        return done

    async def run(self) -> None:
        """Write batches for ever; a batch that fails fails its own items only."""
        try:
            await self._run()
        finally:
            await self._store.close()

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write(batch)
            except Exception as error:
                if not isinstance(error, ServiceError):
                    logs.get_logger().error(BATCH_FAILED, **logs.failure(error))
                for pending in batch:
                    _fail(pending, error)
            except asyncio.CancelledError:
                for pending in batch:
                    pending.done.cancel()
                raise

    async def _write(self, batch: Sequence[_Pending]) -> None:
        wanted = [
            pending.item.blob
            for pending in batch
            if isinstance(pending.item, Envelope) and not pending.item.chunked
        ]
        missing = await self._staged.missing(wanted)
        kept: list[_Pending] = []
        for pending in batch:
            item = pending.item
            if isinstance(item, Envelope) and not item.chunked and item.blob in missing:
                _fail(pending, missing[item.blob])
            elif not pending.done.done():
                kept.append(pending)
        rest = await self._commit_known(kept)
        flushes = [pending.flush for pending in rest if pending.flush is not None]
        if flushes:
            await asyncio.wait(flushes)
        await self._commit(_durable(rest))

    async def _commit_known(self, batch: Sequence[_Pending]) -> Sequence[_Pending]:
        """Write what takes the short way and return the rest."""
        batch = _durable(batch)
        envelopes = [pending.item for pending in batch if isinstance(pending.item, Envelope)]
        flushing = [p.flush for p in batch if p.flush is not None and not p.flush.done()]
        durable = functools.partial(all_flushed, flushing) if flushing else None
        try:
            indexed = await self._store.commit_known(envelopes, durable)
        except UnflushedError:
            return batch
        rest: list[_Pending] = []
        for pending in batch:
            item = pending.item
            done = indexed.get(item.arrival.instance_id) if isinstance(item, Envelope) else None
            if done is None:
                rest.append(pending)
            else:
                _answer(pending, done)
        return rest

    async def _commit(self, batch: Sequence[_Pending]) -> None:
        """Write a batch, and its halves when something in it is unfit."""
        if not batch:
            return
        envelopes = [p for p in batch if isinstance(p.item, Envelope)]
        departures = [p for p in batch if isinstance(p.item, Departure)]
        try:
            indexed = await self._store.commit(
                [p.item for p in envelopes if isinstance(p.item, Envelope)],
                [p.item for p in departures if isinstance(p.item, Departure)],
            )
        except UnfitBatchError as error:
            await self._commit_halves(batch, error)
            return
        for pending, outcome in zip(envelopes, indexed, strict=True):
            _answer(pending, outcome)
        for pending in departures:
            _answer(pending, None)

    async def _commit_halves(self, batch: Sequence[_Pending], error: UnfitBatchError) -> None:
        if len(batch) == 1:
            logs.get_logger().error(UNFIT, **logs.failure(error))
            _fail(batch[0], RejectedError("attributes", "values that the index can hold"))
            return
        middle = len(batch) // 2
        await self._commit(batch[:middle])
        await self._commit(batch[middle:])


def _durable(batch: Sequence[_Pending]) -> list[_Pending]:
    """Refuse what could not be flushed and return the rest."""
    rest: list[_Pending] = []
    for pending in batch:
        failed = pending.flush.result() if pending.flush and pending.flush.done() else None
        if failed is None:
            rest.append(pending)
        else:
            _fail(pending, failed)
    return rest


def _answer(pending: _Pending, outcome: Indexed | None) -> None:
    if not pending.done.done():
        pending.done.set_result(outcome)


def _fail(pending: _Pending, error: Exception) -> None:
    if not pending.done.done():
        pending.done.set_exception(error)

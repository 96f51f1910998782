"""Group commit over a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from services.coordinator.archive.arrival import Disposition, Held, Indexed
from services.coordinator.intake.committer import Committer
from services.coordinator.intake.envelope import Departure, Envelope
from services.coordinator.intake.messages import envelope_from_proto
from services.coordinator.intake.rejection import RejectedError
from services.coordinator.intake.store import UnfitBatchError
from services.runtime.blob_ref import BlobRef
from services.runtime.errors import DependencyUnavailableError
from tests.services.coordinator.intake.envelopes import attributes, instance


class MemoryStore:
    """Keeps batches; cannot keep the instances whose number is unfit."""

    def __init__(self, unfit: frozenset[int] = frozenset()) -> None:
        self.unfit = unfit
        self.batches: list[list[int | None]] = []
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit_known(
        self, envelopes: Sequence[Envelope], durable: Callable[[], Awaitable[None]] | None = None
    ) -> dict[str, Indexed]:
        return {}

    async def close(self) -> None: ...

    async def commit(
        self, envelopes: Sequence[Envelope], departures: Sequence[Departure]
    ) -> list[Indexed]:
        await self.gate.wait()
        if self.away:
            raise DependencyUnavailableError("postgres")
        numbers = [envelope.arrival.instance_number for envelope in envelopes]
        if self.unfit.intersection(number for number in numbers if number is not None):
            raise UnfitBatchError
        self.batches.append(numbers)
        held = Held("", "", "", "", "", 1)
        return [Indexed(Disposition.STORED, held) for _ in envelopes]


class AllStaged:
    async def missing(self, refs: Sequence[BlobRef]) -> dict[BlobRef, RejectedError]:
        return {}


def _envelope(number: int) -> Envelope:
    return envelope_from_proto(instance(attributes(number=number), b"bytes"), "")


@asynccontextmanager
async def _running(store: MemoryStore, **options: int) -> AsyncIterator[Committer]:
    committer = Committer(store, AllStaged(), None, **options)
    task = asyncio.create_task(committer.run())
    yield committer
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    store = MemoryStore()
    async with _running(store) as committer:
        store.gate.clear()
        first = await committer.submit(_envelope(0))
        await asyncio.sleep(0.01)
        rest = [await committer.submit(_envelope(n)) for n in range(1, 100)]
        store.gate.set()
        await asyncio.gather(first, *rest)

    assert [len(batch) for batch in store.batches] == [1, 99]


async def test_batches_are_bounded() -> None:
    store = MemoryStore()
    async with _running(store, batch_size=10) as committer:
        await asyncio.gather(*[await committer.submit(_envelope(n)) for n in range(35)])

    assert max(len(batch) for batch in store.batches) <= 10


async def test_an_unfit_instance_is_rejected_alone() -> None:
    store = MemoryStore(frozenset({3, 17}))
    async with _running(store) as committer:
        waiting = [await committer.submit(_envelope(n)) for n in range(20)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    rejected = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, RejectedError)]
    assert rejected == [3, 17]
    assert all(isinstance(outcomes[n], Indexed) for n in range(20) if n not in rejected)


async def test_a_full_queue_holds_senders_up() -> None:
    store = MemoryStore()
    async with _running(store, batch_size=1, queue_size=2) as committer:
        store.gate.clear()
        for number in range(3):
            await committer.submit(_envelope(number))
            await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(committer.submit(_envelope(9)), 0.05)
        store.gate.set()


async def test_a_failed_batch_does_not_end_the_committer() -> None:
    store = MemoryStore()
    async with _running(store) as committer:
        store.away = True
        failing = await committer.submit(_envelope(1))
        with pytest.raises(DependencyUnavailableError):
            await failing
        store.away = False
        outcome = await (await committer.submit(_envelope(2)))

    assert outcome is not None
    assert outcome.disposition is Disposition.STORED

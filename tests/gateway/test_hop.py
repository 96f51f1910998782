"""Blocking work that is seen to its end, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.hop import Hop


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


async def test_work_is_done_in_a_thread_and_its_result_returned(
    threads: ThreadPoolExecutor,
) -> None:
    assert await Hop(threads, threading.get_ident).end() != threading.get_ident()


async def test_work_that_is_over_before_anybody_waits_is_not_lost(
    threads: ThreadPoolExecutor,
) -> None:
    hop = Hop(threads, lambda: 7)
    await Hop(threads, lambda: None).end()

    assert await hop.end() == 7


async def test_an_error_of_the_work_reaches_who_waits(threads: ThreadPoolExecutor) -> None:
    def work() -> None:
        raise OSError(5, "broken")

    with pytest.raises(OSError, match="broken"):
        await Hop(threads, work).end()


async def test_who_is_cancelled_waits_for_the_thread_first(threads: ThreadPoolExecutor) -> None:
    go, done = threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        done.set()

    waiting = asyncio.create_task(Hop(threads, work).end())
    for _ in range(2):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()

    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done.is_set()

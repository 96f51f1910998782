"""Work on many things at once, with the outcomes in the order of the things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

_Thing = TypeVar("_Thing")
_Outcome = TypeVar("_Outcome")


async def in_order(
    things: AsyncIterator[_Thing], work: Callable[[_Thing], Awaitable[_Outcome]], width: int
) -> AsyncGenerator[_Outcome, None]:
    """Yield what comes of each thing, in their order, each as soon as it is known.

    No more things are taken than `width` and two whose outcome has not been fetched: who fetches
    slowly slows down who gives. When the generator is closed, the work ends.

    Args:
        things: What is worked on; an error of theirs comes after the outcomes of those before.
        work: Done with each.
        width: How many wait, at least 1.
    """
    line: asyncio.Queue[asyncio.Future[_Outcome] | None] = asyncio.Queue(width)
    begun: set[asyncio.Future[_Outcome]] = set()

    async def take() -> None:
        try:
            async for thing in things:
                task = asyncio.ensure_future(work(thing))
                begun.add(task)
                await line.put(task)
        except Exception:
            await line.put(None)
            raise
        await line.put(None)

    taking = asyncio.create_task(take())
    try:
        while (task := await line.get()) is not None:
            yield await task
            begun.discard(task)
        await taking
    finally:
        taking.cancel()
        for task in begun:
            task.cancel()
        await asyncio.gather(taking, *begun, return_exceptions=True)


async def each(things: list[_Thing]) -> AsyncIterator[_Thing]:
    """Yield the things of a list."""
    for thing in things:
        yield thing

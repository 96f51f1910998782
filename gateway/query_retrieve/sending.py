"""Sends instances one after another, and reads the next while the peer takes one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.dimse.service import Responder
from gateway.query_retrieve.progress import Progress
from gateway.query_retrieve.stored import NOT_READ, StoredInstance
from services.runtime import logs

NOT_SENT: Final = "retrieve.not_sent"


class BegunDataSet:
    """A data set whose first bytes were read.

    Args:
        rest: The data set.
    """

    def __init__(self, rest: AsyncGenerator[bytes, None]) -> None:
        self._rest = rest
        self._first = b""

    async def begin(self) -> None:
        """Read the first bytes; raises what reading fails with."""
        self._first = await anext(self._rest, b"")

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the whole data set, once."""
        first, self._first = self._first, b""
        yield first
        async for chunk in self._rest:
            yield chunk

    async def close(self) -> None:
        """Let go of what was not read."""
        await self._rest.aclose()


@dataclass(frozen=True, slots=True)
class Parcel:
    """An instance that is ready to be sent.

    Attributes:
        data_set: Its data set, read up to its first bytes.
        send: Sends it and returns the status it got.
    """

    data_set: BegunDataSet
    send: Callable[[BegunDataSet], Awaitable[int]]


Prepare = Callable[[StoredInstance], Coroutine[None, None, Parcel]]
"""Reads the beginning of an instance; one of ``NOT_READ`` when it cannot be sent."""


async def send_all(
    instances: Sequence[StoredInstance],
    progress: Progress,
    responder: Responder,
    prepare: Prepare,
) -> bool:
    """Send instances one by one and tell the peer how far it is; false once it cancels."""
    ahead: asyncio.Task[Parcel] | None = None
    try:
        for number, instance in enumerate(instances):
            if responder.is_cancelled:
                return False
            current, ahead = ahead or asyncio.create_task(prepare(instance)), None
            parcel = await _ready(current, instance, progress)
            if number + 1 < len(instances):
                ahead = asyncio.create_task(prepare(instances[number + 1]))
            if parcel is not None:
                await _deliver(parcel, instance, progress)
            if progress.remaining:
                await responder.pending(progress.pending())
    finally:
        await _drop(ahead)
    return True


async def _ready(
    current: asyncio.Task[Parcel], instance: StoredInstance, progress: Progress
) -> Parcel | None:
    try:
        return await current
    except NOT_READ as error:
        _failed(instance, progress, error)
        return None


async def _deliver(parcel: Parcel, instance: StoredInstance, progress: Progress) -> None:
    try:
        progress.count(instance.sop_instance_uid, await parcel.send(parcel.data_set))
    except NOT_READ as error:
        _failed(instance, progress, error)
    finally:
        await parcel.data_set.close()


def _failed(instance: StoredInstance, progress: Progress, error: Exception) -> None:
    details = logs.failure(error)
    logs.get_logger().error(NOT_SENT, instance_id=instance.instance_id, **details)
    progress.fail(instance.sop_instance_uid)


async def _drop(ahead: asyncio.Task[Parcel] | None) -> None:
    if ahead is None:
        return
    ahead.cancel()
    with suppress(asyncio.CancelledError, *NOT_READ):
        parcel = await ahead
        await parcel.data_set.close()

"""A stream of objects through de-identification: nothing of it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Final

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from services.deid import messages
from services.deid.destination import IntoFile
from services.deid.incoming import Arrived, begin_of, objects_of
from services.deid.metrics import DEID_OBJECTS
from services.deid.ordered import in_order
from services.deid.orders import Orders
from services.deid.processes import Processes
from services.deid.series import Ledger
from services.deid.settings import DeidSettings
from services.deid.treating import Outcome, Treating
from services.runtime.workspaces import Workspaces

Requests = AsyncIterator[pb.DeidentifyInstancesRequest]
CHUNK_BYTES: Final = 1 << 20
Begun = Callable[[pb.StreamBegin], Awaitable[Orders]]


class InstanceStream:
    """De-identifies the objects of one stream.

    Args:
        workspaces: For objects on their way in and out.
        processes: Treat objects.
        settings: Bounds.
    """

    def __init__(
        self, workspaces: Workspaces, processes: Processes, settings: DeidSettings
    ) -> None:
        self._workspaces = workspaces
        self._processes = processes
        self._settings = settings

    async def answers(
        self, requests: Requests, begun: Begun
    ) -> AsyncGenerator[pb.DeidentifyInstancesResponse, None]:
        """Yield what becomes of each object, its bytes, and at the end the certificate.

        Args:
            requests: The stream.
            begun: Says from its beginning how its objects are treated.

        Raises:
            InvalidFieldError: The stream breaks a rule of its contract.
            LimitExceededError: An object is too large, or there are too many.
        """
        orders, ledger = await begun(await begin_of(requests)), Ledger()
        with self._workspaces.folder() as folder:
            arriving = objects_of(requests, folder, self._settings.object_bytes)

            async def treat(arrived: Arrived) -> tuple[Arrived, Outcome]:
                return arrived, await self._treated(arrived, orders)

            work = in_order(arriving, treat, self._settings.stream_objects)
            async with aclosing(arriving), aclosing(work) as outcomes:
                async for arrived, outcome in outcomes:
                    ledger.add(outcome)
                    async for answer in _answers(arrived, outcome):
                        yield answer
        certificate = ledger.certificate(orders)
        for start in range(0, len(certificate), CHUNK_BYTES):
            part = certificate[start : start + CHUNK_BYTES]
            yield pb.DeidentifyInstancesResponse(certificate=part)

    async def _treated(self, arrived: Arrived, orders: Orders) -> Outcome:
        treating = Treating(self._processes, orders, self._settings.object_bytes)
        into = IntoFile(_released_path(arrived))
        try:
            return await treating.treat(arrived.path, arrived.blob, into)
        finally:
            arrived.path.unlink(missing_ok=True)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


async def _answers(
    arrived: Arrived, outcome: Outcome
) -> AsyncIterator[pb.DeidentifyInstancesResponse]:
    DEID_OBJECTS.labels("stream", "released" if outcome.released else "held").inc()
    streamed = pb.StreamedOutcome(
        name=arrived.name, instance=messages.outcome_to_proto(outcome, "")
    )
    yield pb.DeidentifyInstancesResponse(outcome=streamed)
    if outcome.released is not None:
        path = _released_path(arrived)
        async for chunk in _chunks(path):
            yield pb.DeidentifyInstancesResponse(chunk=chunk)
        path.unlink()


def _released_path(arrived: Arrived) -> Path:
    return arrived.path.with_suffix(".released")

"""The run of a series through de-identification, as the events of its stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.imaging.v1 import progress_pb2
from services.deid import messages
from services.deid.destination import MEDIA_TYPE, IntoFile, IntoStore
from services.deid.metrics import DEID_OBJECTS, DEID_SERIES_SECONDS
from services.deid.ordered import each, in_order
from services.deid.orders import Orders
from services.deid.processes import Processes
from services.deid.provenance import Clock
from services.deid.series import Ledger, Source
from services.deid.settings import DeidSettings
from services.deid.stored_files import stored_file
from services.deid.treating import Outcome, Treating
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobCorruptError, InvalidFieldError
from services.runtime.local_blobs import LocalBlobs
from services.runtime.workspaces import Workspaces

MAX_INSTANCES: Final = 20_000  # what a message of 4 MiB holds
CERTIFICATE_TYPE: Final = "application/json"
_STEPS: Final = 100


def sources_from_proto(given: Sequence[pb.SourceInstance]) -> list[Source]:
    """Return the objects of a request.

    Raises:
        InvalidFieldError: There are none, too many, or one has no blob's name.
    """
    if not 1 <= len(given) <= MAX_INSTANCES:
        raise InvalidFieldError("instances", f"1 to {MAX_INSTANCES}")
    return [
        Source(
            message.instance_id,
            blob_from_proto(message.content, f"instances[{number}].content"),
            tuple(message.approved_codes),
        )
        for number, message in enumerate(given)
    ]


class SeriesRun:
    """De-identifies a series from the blob store into it.

    Args:
        blobs: Where objects lie, and where released ones go.
        workspaces: For copies of what is stored elsewhere.
        processes: Treat objects.
        settings: Bounds.
    """

    def __init__(
        self,
        blobs: BlobStore,
        workspaces: Workspaces,
        processes: Processes,
        settings: DeidSettings,
    ) -> None:
        self._blobs = blobs
        self._workspaces = workspaces
        self._processes = processes
        self._settings = settings

    async def events(
        self, sources: list[Source], orders: Orders
    ) -> AsyncGenerator[pb.DeidentifySeriesResponse, None]:
        """Yield progress, what became of each object, and the outcome."""
        clock, ledger = Clock(), Ledger()

        async def treat(source: Source) -> Outcome:
            return await self._treated(source, orders)

        work = in_order(each(sources), treat, 2 * self._processes.count)
        with DEID_SERIES_SECONDS.time():
            async with aclosing(work) as outcomes:
                async for outcome in outcomes:
                    source = sources[len(ledger.entries)]
                    ledger.add(outcome)
                    yield _event(outcome, source)
                    if _is_step(len(ledger.entries), len(sources)):
                        share = len(ledger.entries) / len(sources)
                        yield self.progress(share, "De-identifying")
            yield await self._outcome(ledger, orders, sources, clock)

    @staticmethod
    def progress(fraction: float, activity: str) -> pb.DeidentifySeriesResponse:
        """Return progress as a message of the stream."""
        progress = progress_pb2.Progress(fraction=fraction, activity=activity)
        return pb.DeidentifySeriesResponse(progress=progress)

    async def _treated(self, source: Source, orders: Orders) -> Outcome:
        treating = Treating(self._processes, orders, self._settings.object_bytes)
        async with stored_file(self._blobs, self._workspaces, source.blob) as path:
            if isinstance(self._blobs, LocalBlobs):
                into = IntoStore(self._blobs.folder, self._blobs.free_bytes)
                return await treating.treat(path, source.blob, into, source.approved)
            with self._workspaces.folder() as folder:
                file = folder / "released.dcm"
                outcome = await treating.treat(path, source.blob, IntoFile(file), source.approved)
                if outcome.released is not None:
                    await self._put(file, outcome.released)
                return outcome

    async def _put(self, file: Path, released: BlobRef) -> None:
        ref = await self._blobs.put_file(file, MEDIA_TYPE)
        if ref != released:
            raise BlobCorruptError(released.sha256)

    async def _outcome(
        self, ledger: Ledger, orders: Orders, sources: Sequence[Source], clock: Clock
    ) -> pb.DeidentifySeriesResponse:
        certificate = await self._blobs.put_bytes(ledger.certificate(orders), CERTIFICATE_TYPE)
        outcome = pb.SeriesOutcome(
            certificate=blob_to_proto(certificate),
            released_count=ledger.released_count,
            held_count=ledger.held_count,
            links=[messages.link_to_proto(link) for link in ledger.links.values()],
            provenance=clock.provenance(orders, [source.blob.sha256 for source in sources]),
            key_id=orders.key.key_id,
        )
        return pb.DeidentifySeriesResponse(outcome=outcome)


def _event(outcome: Outcome, source: Source) -> pb.DeidentifySeriesResponse:
    DEID_OBJECTS.labels("series", "released" if outcome.released else "held").inc()
    message = messages.outcome_to_proto(outcome, source.instance_id)
    return pb.DeidentifySeriesResponse(instance=message)


def _is_step(done: int, total: int) -> bool:
    """Tell whether a hundredth more of all is done now."""
    return done * _STEPS // total > (done - 1) * _STEPS // total

"""Where DICOM files come in that are no message of a peer: by upload, from a folder, fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Protocol

from gateway.handover import Departure, Disposition, Received
from gateway.metrics import INSTANCE_BYTES
from gateway.part10_intake import Part10Intake
from gateway.source import Source


class Handover(Protocol):
    """The coordinator's side of the gateway."""

    async def hand_over(self, received: Received) -> Disposition:
        """Return what became of the instance once it is indexed, or journaled so that it will be.

        Raises:
            HandoverError: The coordinator refuses it.
            StorageFullError: No room for it.
            OSError, BlobNotFoundError: Storage failed.
        """
        ...

    async def depart(self, departure: Departure) -> None:
        """Tell that a peer has gone."""
        ...


class FileDoor:
    """Takes DICOM files.

    Args:
        part10: Stages them.
        handover: Who indexes them.
    """

    def __init__(self, part10: Part10Intake, handover: Handover) -> None:
        self._part10 = part10
        self._handover = handover

    async def take(
        self, content: AsyncIterator[bytes | memoryview], source: Source
    ) -> tuple[Disposition, Received]:
        """Take one file; it is durable on return.

        Raises:
            NotDicomError: No DICOM file.
            RefusedError, HandoverError: It is not taken, now or later.
            StorageFullError: No room for it now.
            OSError, BlobNotFoundError: Storage failed.
        """
        staged = await self._part10.stage(content)
        received = Received(staged, source, datetime.now(UTC))
        disposition = await self._handover.hand_over(received)
        INSTANCE_BYTES.inc(staged.ref.size_bytes)
        return disposition, received

    async def leave(self, source: Source, *, released: bool, stored_count: int) -> None:
        """Tell that nothing more comes from a source."""
        await self._handover.depart(Departure(source, released, stored_count))

"""The Storage Service as provider (PS3.4 Annex B): an instance in, a status out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, Protocol

from gateway.dimse.commands import Command, Status
from gateway.dimse.negotiation import ContextResult
from gateway.handover import Departure, Disposition, HandoverError, Received
from gateway.metrics import INSTANCE_BYTES
from gateway.refusal import RefusalKind, RefusedError
from gateway.source import Source
from gateway.staging import Announced, StagedInstance, Staging
from services.dicom.uids import valid_uid
from services.runtime import logs
from services.runtime.errors import BlobNotFoundError, StorageFullError

STORAGE_FAILED: Final = "storage.failed"
SUCCESS: Final = Status(0x0000)
OUT_OF_RESOURCES: Final = Status(0xA700, "no room to store more")
STORAGE_ERROR: Final = Status(0xA700, "storage failed")
CLASS_MISMATCH: Final = Status(0xA900, "SOP class is not that of the context")
INVALID_INSTANCE: Final = Status(0x0117, "Affected SOP Instance UID is not a UID")
_FEW: Final = 2
_KINDS: Final = {RefusalKind.MISMATCH: 0xA900, RefusalKind.NOT_UNDERSTOOD: 0xC000}


class Handover(Protocol):
    """The coordinator's side of the gateway."""

    @property
    def flushes(self) -> bool:
        """Whether bytes that were only written may be handed over now."""
        ...

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


class StorageService:
    """Stores what associations bring.

    Args:
        staging: Where bytes go.
        handover: Who indexes them.
    """

    def __init__(self, staging: Staging, handover: Handover) -> None:
        self._staging = staging
        self._handover = handover
        self._in_hand = 0

    async def store(
        self,
        source: Source,
        context: ContextResult,
        command: Command,
        data_set: AsyncIterator[memoryview],
    ) -> Status:
        """See ``StorageProvider``; statuses are those of PS3.4 Table B.2-1."""
        if command.sop_class_uid != context.abstract_syntax:
            return CLASS_MISMATCH
        if not valid_uid(command.sop_instance_uid):
            return INVALID_INSTANCE
        announced = Announced(
            command.sop_class_uid, command.sop_instance_uid, context.transfer_syntax
        )
        self._in_hand += 1
        try:
            staged = await self._stage(announced, data_set)
            received = Received(staged, source, datetime.now(UTC))
            await self._handover.hand_over(received)
            INSTANCE_BYTES.inc(staged.ref.size_bytes)
        except RefusedError as refusal:
            return Status(_KINDS[refusal.kind], f"{refusal.field}: {refusal.rule}")
        except HandoverError as error:
            return Status(0xC000, error.rule)
        except StorageFullError:
            return OUT_OF_RESOURCES
        except (OSError, BlobNotFoundError) as error:
            logs.get_logger().error(STORAGE_FAILED, **logs.failure(error))
            return STORAGE_ERROR
        finally:
            self._in_hand -= 1
        return SUCCESS

    async def closed(self, source: Source, *, released: bool, stored_count: int) -> None:
        """See ``StorageProvider``."""
        await self._handover.depart(Departure(source, released, stored_count))

    async def _stage(
        self, announced: Announced, data_set: AsyncIterator[memoryview]
    ) -> StagedInstance:
        # A few instances at once are answered soonest; of many, each should cost least.
        few = self._in_hand <= _FEW
        incoming = self._staging.incoming(announced, eager=few)
        try:
            async for fragment in data_set:
                incoming.add(fragment)
                if incoming.is_full:
                    await incoming.spill()
            return await incoming.commit(flush=not (few and self._handover.flushes))
        finally:
            await incoming.close()

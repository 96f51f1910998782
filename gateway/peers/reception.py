"""What one exchange with a peer brings: taken like every instance, and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from gateway.file_door import FileDoor
from gateway.handover import Disposition, HandoverError
from gateway.peers.peer import Peer
from gateway.refusal import RefusalKind, RefusedError
from gateway.source import Door, Source
from services.dicom.errors import NotDicomError
from services.runtime import logs
from services.runtime.errors import BlobNotFoundError, StorageFullError
from services.runtime.ids import new_id

TAKEN: Final = 0x0000
NOT_TAKEN: Final = "fetch.not_taken"
_OUT_OF_RESOURCES: Final = 0xA700
_MISMATCH: Final = 0xA900
_NOT_UNDERSTOOD: Final = 0xC000
_KNOWN: Final = frozenset({Disposition.DUPLICATE})


class Reception:
    """Takes what a peer sends because we asked.

    Args:
        door: Where files come in.
        peer: Who sends.
        ae_title: What we called ourselves; "" for DICOMweb.
        address: Where the peer is.

    Attributes:
        stored: Instances that were new, or may turn out to be.
        known: Instances that we had already.
        failed: Instances that were not taken.
    """

    def __init__(self, door: FileDoor, peer: Peer, ae_title: str, address: str) -> None:
        self._door = door
        self._source = Source(
            door=Door.SOURCE,
            association_id=new_id(),
            calling_ae_title=peer.dimse.ae_title if peer.dimse is not None and ae_title else "",
            called_ae_title=ae_title,
            peer_address=address,
        )
        self.stored = self.known = self.failed = 0

    async def take(self, content: AsyncIterator[bytes | memoryview]) -> int:
        """Take a DICOM file and return a status of PS3.4 Table B.2-1; 0000H once it is durable."""
        status = await self._status(content)
        self.failed += status != TAKEN
        return status

    async def end(self, *, whole: bool) -> None:
        """Tell that nothing more comes.

        Args:
            whole: Whether the peer sent all that it was asked for.
        """
        if self.stored or self.known:
            count = self.stored + self.known
            await self._door.leave(self._source, released=whole, stored_count=count)

    async def _status(self, content: AsyncIterator[bytes | memoryview]) -> int:
        try:
            disposition, _ = await self._door.take(content, self._source)
        except RefusedError as refusal:
            return _MISMATCH if refusal.kind is RefusalKind.MISMATCH else _NOT_UNDERSTOOD
        except (HandoverError, NotDicomError):
            return _NOT_UNDERSTOOD
        except StorageFullError:
            return _OUT_OF_RESOURCES
        except (OSError, BlobNotFoundError) as error:
            logs.get_logger().error(NOT_TAKEN, **logs.failure(error))
            return _OUT_OF_RESOURCES
        if disposition in _KNOWN:
            self.known += 1
        else:
            self.stored += 1
        return TAKEN

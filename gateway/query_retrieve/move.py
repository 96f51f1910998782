"""C-MOVE as provider: instances go to a registered peer (PS3.4 C.4.2).

One outside gets released copies; what is not de-identified yet is begun, and the peer asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from gateway.dimse.callers import REGISTRY_AWAY, Registry
from gateway.dimse.commands import C_MOVE_RQ, MOVE_DESTINATION, MoveOriginator, Reply, Status
from gateway.dimse.service import Request, Responder
from gateway.outgoing import NotReachedError, OutgoingSettings, associated
from gateway.peers.errors import PeerOutsideError
from gateway.peers.peer import Peer, Recipient
from gateway.peers.release import Consignment, Releases
from gateway.query_retrieve.destination import Destination, groups, proposals_for
from gateway.query_retrieve.models import MODELS
from gateway.query_retrieve.progress import Progress
from gateway.query_retrieve.retrieval import OPTIONS, RefusedError, finished, selected
from gateway.query_retrieve.sending import send_all
from gateway.query_retrieve.stored import StoredInstance, StoredInstances
from services.runtime import logs
from services.runtime.errors import DependencyUnavailableError, NotReleasedError

NOT_REACHED: Final = "move.not_reached"
UNKNOWN_DESTINATION: Final = Status(0xA801, "the destination is not registered as one")
OUTSIDE: Final = Status(0x0124, "the destination is outside")
NOT_YET: Final = Status(0xC001, "it is being de-identified: ask again later")
NOT_RELEASED: Final = Status(0xC002, "de-identification held instances")
DEID_AWAY: Final = Status(0xA702, "de-identification cannot be asked")


class Peers(Registry, Protocol):
    """The registry of peers."""

    async def find(self, ae_title: str) -> Peer | None:
        """Return the peer of an AE title; None unless exactly one is registered.

        Raises:
            DependencyUnavailableError: The registry cannot be asked.
        """
        ...


class MoveService:
    """Answers C-MOVE.

    Args:
        stored: Finds and reads instances.
        peers: Tells who may ask, and where destinations are.
        settings: How destinations are called.
        releases: Hands out what may go to destinations outside.
    """

    operations: Mapping[str, frozenset[int]] = MappingProxyType(
        {model.move: frozenset({C_MOVE_RQ}) for model in MODELS}
    )
    options: Mapping[str, bytes] = MappingProxyType({model.move: OPTIONS for model in MODELS})

    def __init__(
        self,
        stored: StoredInstances,
        peers: Peers,
        settings: OutgoingSettings,
        releases: Releases,
    ) -> None:
        self._releases = releases
        self._stored = stored
        self._peers = peers
        self._settings = settings

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        try:
            wanted = await selected(request, self._peers, self._stored)
            peer = await self._destination(request.command.text(MOVE_DESTINATION, 16))
            consignment = await self._consignment(peer, wanted)
        except RefusedError as refused:
            return Reply(refused.status)
        recipient = consignment.recipient
        instances = [item.instance for item in consignment.items]
        progress = Progress(len(instances), request.context.transfer_syntax)
        originator = MoveOriginator(request.source.calling_ae_title, request.command.message_id)
        for group in groups(instances):
            if not await self._send(group, recipient, originator, progress, responder):
                return finished(progress, whole=False)
        return finished(progress, whole=True)

    async def _destination(self, ae_title: str) -> Peer:
        try:
            peer = await self._peers.find(ae_title) if ae_title else None
        except DependencyUnavailableError:
            raise RefusedError(REGISTRY_AWAY) from None
        if peer is None or not peer.move_destination:
            raise RefusedError(UNKNOWN_DESTINATION)
        return peer

    async def _consignment(self, peer: Peer, wanted: list[StoredInstance]) -> Consignment:
        try:
            consignment = await self._releases.begin(peer, wanted)
        except PeerOutsideError:
            raise RefusedError(OUTSIDE) from None
        except NotReleasedError:
            raise RefusedError(NOT_RELEASED) from None
        except DependencyUnavailableError:
            raise RefusedError(DEID_AWAY) from None
        if consignment is None:
            raise RefusedError(NOT_YET)
        return consignment

    async def _send(
        self,
        group: list[StoredInstance],
        recipient: Recipient,
        originator: MoveOriginator,
        progress: Progress,
        responder: Responder,
    ) -> bool:
        try:
            takes = recipient.peer.require_dimse().transfer_syntax_uids
            async with associated(recipient, proposals_for(group, takes), self._settings) as link:
                destination = Destination(link, recipient, self._stored, originator)
                return await send_all(group, progress, responder, destination.prepare)
        except NotReachedError as error:
            logs.get_logger().warning(NOT_REACHED, error_type=type(error.__cause__).__name__)
            for instance in group:
                progress.fail(instance.sop_instance_uid)
            return True

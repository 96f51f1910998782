"""DICOMweb towards registered peers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.dicomweb_client.retrieve import Resource, Retrieved, retrieve
from gateway.dicomweb_client.search import Search, SearchLevel, search
from gateway.dicomweb_client.session import web_session
from gateway.dicomweb_client.store import store
from gateway.dicomweb_client.verify import Counted, verify_count
from gateway.file_door import FileDoor
from gateway.peers.outcome import Sent
from gateway.peers.peer import Peer, Recipient
from gateway.peers.reception import Reception
from gateway.peers.selection import Selection, select
from gateway.peers.settings import ExchangeSettings
from gateway.peers.turns import Turns
from gateway.query_retrieve.stored import StoredInstances
from gateway.scu.find import Truncated
from gateway.scu.identifier import check_outside
from gateway.scu.sending import Total
from heimdallr.archive.v1 import archive_service_pb2_grpc as archive_grpc
from services.dicom.json import JsonObject


@dataclass(frozen=True, slots=True)
class DicomWebClient:
    """Speaks DICOMweb to peers.

    Attributes:
        settings: Bounds and times.
        archive: Finds our instances.
        stored: Reads them.
        door: Where fetched files come in.
        turns: Shared with other clients.
    """

    settings: ExchangeSettings
    archive: archive_grpc.ArchiveServiceAsyncStub
    stored: StoredInstances
    door: FileDoor
    turns: Turns

    async def test(self, peer: Peer) -> None:
        """Ask a peer for one study, whichever.

        Raises:
            PeerUnreachableError, PeerRefusedError: It does not answer, or not as it should.
            InvalidFieldError: It speaks no DICOMweb.
            LimitExceededError: Too many exchanges at once.
        """
        async with aclosing(self.search(peer, Search(SearchLevel.STUDIES, limit=1))) as found:
            async for _ in found:
                pass

    async def search(
        self, peer: Peer, wanted: Search
    ) -> AsyncGenerator[JsonObject | Truncated, None]:
        """Yield matches in the DICOM JSON Model; ``Truncated`` last when the limit cut them.

        Raises:
            PeerOutsideError: A key could tell who somebody is, and the peer is not inside.
            PeerUnreachableError, PeerRefusedError, InvalidFieldError, LimitExceededError: As
                `test`.
        """
        check_outside(peer, wanted.keys)
        with self.turns.one():
            async with (
                web_session(peer, self.settings) as session,
                aclosing(search(session, wanted)) as found,
            ):
                async for match in found:
                    yield match

    async def store(
        self, recipient: Recipient, selection: Selection, *, counted: bool = False
    ) -> AsyncGenerator[Total | Sent | Counted, None]:
        """Send a selection; yield how many there are, what became of each, what was counted.

        Raises:
            PeerUnreachableError, PeerRefusedError: Nothing could be sent at all.
            DependencyUnavailableError: The archive cannot be asked.
            InvalidFieldError, LimitExceededError: As `test`.
        """
        peer = Recipient(recipient.peer).peer
        peer.require_web()
        with self.turns.one():
            selected = await select(self.archive, selection)
            yield Total(len(selected))
            arrived = set[str]()
            async with web_session(peer, self.settings) as session:
                instances = [item.instance for item in selected]
                async with aclosing(store(session, instances, self.stored)) as outcomes:
                    async for sent in outcomes:
                        if sent.arrived:
                            arrived.add(sent.sop_instance_uid)
                        yield sent
                if counted:
                    uids = arrived
                    there = [i for i in selected if i.instance.sop_instance_uid in uids]
                    yield await verify_count(session, there)

    async def retrieve(self, peer: Peer, resource: Resource) -> AsyncGenerator[Retrieved, None]:
        """Fetch instances from a peer into our store; yield how far it is.

        Raises:
            PeerUnreachableError, PeerRefusedError, InvalidFieldError, LimitExceededError: As
                `test`.
        """
        resource.path()
        host = urlsplit(peer.require_web().url).hostname or ""
        with self.turns.one():
            reception, whole = Reception(self.door, peer, "", host), False
            try:
                async with (
                    web_session(peer, self.settings) as session,
                    aclosing(retrieve(session, resource, reception)) as progress,
                ):
                    async for item in progress:
                        yield item
                whole = not reception.failed
            finally:
                await reception.end(whole=whole)

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
from gateway.peers.peer import Peer
from gateway.peers.reception import Reception
from gateway.peers.release import Consignment, Preparing, Releases, check_project
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
        releases: Hands out what may go to peers outside.
    """

    settings: ExchangeSettings
    archive: archive_grpc.ArchiveServiceAsyncStub
    stored: StoredInstances
    door: FileDoor
    turns: Turns
    releases: Releases

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
        self,
        peer: Peer,
        selection: Selection,
        *,
        counted: bool = False,
        released_only: bool = False,
    ) -> AsyncGenerator[Preparing | Total | Sent | Counted, None]:
        """Send a selection; yield how many there are, what became of each, what was counted.

        A peer outside gets released copies, and before that it is told how far they are.

        Raises:
            PeerOutsideError: The peer is outside and has no project.
            NotReleasedError: Something of it is held.
            PeerUnreachableError, PeerRefusedError: Nothing could be sent at all.
            DependencyUnavailableError: The archive cannot be asked.
            InvalidFieldError, LimitExceededError: As `test`.
        """
        check_project(peer)
        peer.require_web()
        with self.turns.one():
            selected = await select(self.archive, selection)
            consigning = self.releases.consign(peer, selected, released_only=released_only)
            async with aclosing(consigning) as steps:
                async for step in steps:
                    if isinstance(step, Preparing):
                        yield step
                        continue
                    async with aclosing(self._store(step, counted=counted)) as outcomes:
                        async for outcome in outcomes:
                            yield outcome

    async def _store(
        self, consignment: Consignment, *, counted: bool
    ) -> AsyncGenerator[Total | Sent | Counted, None]:
        recipient, items = consignment.recipient, consignment.items
        yield Total(len(items))
        arrived = set[str]()
        async with web_session(recipient.peer, self.settings) as session:
            instances = [item.instance for item in items]
            storing = store(session, recipient, instances, self.stored)
            async with aclosing(storing) as outcomes:
                async for sent in outcomes:
                    if sent.arrived:
                        arrived.add(sent.sop_instance_uid)
                    yield sent
            if counted:
                there = [i for i in items if i.instance.sop_instance_uid in arrived]
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

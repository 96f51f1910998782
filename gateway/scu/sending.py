"""Instances of ours on their way to a peer: found, sent, verified."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum

from gateway.peers.outcome import Sent
from gateway.peers.peer import Peer
from gateway.peers.release import Consignment, Preparing, Releases, check_project
from gateway.peers.selection import Selection, select
from gateway.peers.turns import Turns
from gateway.scu.client import DimseClient
from gateway.scu.commit import Commitments
from gateway.scu.store import StoreUser
from gateway.scu.verify import Verified, verify_commitment, verify_count
from heimdallr.archive.v1 import archive_service_pb2_grpc as archive_grpc


class Verification(Enum):
    """How it is made sure that a peer has what was sent."""

    NONE = "none"
    COUNT = "count"
    COMMITMENT = "commitment"


@dataclass(frozen=True, slots=True)
class Total:
    """The first that is told: how many instances there are to send."""

    count: int


@dataclass(frozen=True, slots=True)
class Sending:
    """Sends what is selected.

    Attributes:
        archive: Finds instances.
        user: Sends them.
        client: Asks the peer afterwards.
        commitments: Hears reports of peers.
        turns: Bounds exchanges.
        releases: Hands out what may go to peers outside.
    """

    archive: archive_grpc.ArchiveServiceAsyncStub
    user: StoreUser
    client: DimseClient
    commitments: Commitments
    turns: Turns
    releases: Releases

    async def send(
        self,
        peer: Peer,
        selection: Selection,
        verification: Verification,
        *,
        released_only: bool = False,
    ) -> AsyncGenerator[Preparing | Total | Sent | Verified, None]:
        """Send a selection; yield how many there are, what became of each, what was verified.

        A peer outside gets released copies, and before that it is told how far they are.

        Raises:
            PeerOutsideError: The peer is outside and has no project.
            NotReleasedError: Something of it is held.
            PeerUnreachableError, PeerRefusedError: Nothing could be sent at all.
            InvalidFieldError: The selection is none, or the peer speaks no DIMSE.
            LimitExceededError: Too many exchanges at once, or too many instances.
            DependencyUnavailableError: The archive cannot be asked.
        """
        check_project(peer)
        peer.require_dimse()
        with self.turns.one():
            selected = await select(self.archive, selection)
            consigning = self.releases.consign(peer, selected, released_only=released_only)
            async with aclosing(consigning) as steps:
                async for step in steps:
                    if isinstance(step, Preparing):
                        yield step
                        continue
                    async with aclosing(self._send(step, verification)) as outcomes:
                        async for outcome in outcomes:
                            yield outcome

    async def _send(
        self, consignment: Consignment, verification: Verification
    ) -> AsyncGenerator[Total | Sent | Verified, None]:
        peer, items = consignment.recipient.peer, consignment.items
        yield Total(len(items))
        arrived = set[str]()
        instances = [item.instance for item in items]
        async with aclosing(self.user.send(consignment.recipient, instances)) as outcomes:
            async for sent in outcomes:
                if sent.arrived:
                    arrived.add(sent.sop_instance_uid)
                yield sent
        there = [item for item in items if item.instance.sop_instance_uid in arrived]
        if verification is Verification.COUNT:
            yield await verify_count(self.client, peer, there)
        elif verification is Verification.COMMITMENT:
            yield await verify_commitment(self.client, self.commitments, peer, there)

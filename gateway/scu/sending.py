"""Instances of ours on their way to a peer: found, sent, verified."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum

from gateway.peers.outcome import Sent
from gateway.peers.peer import Recipient
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
    """

    archive: archive_grpc.ArchiveServiceAsyncStub
    user: StoreUser
    client: DimseClient
    commitments: Commitments
    turns: Turns

    async def send(
        self, recipient: Recipient, selection: Selection, verification: Verification
    ) -> AsyncGenerator[Total | Sent | Verified, None]:
        """Send a selection; yield how many there are, what became of each, what was verified.

        Raises:
            PeerUnreachableError, PeerRefusedError: Nothing could be sent at all.
            InvalidFieldError: The selection is none, or the peer speaks no DIMSE.
            LimitExceededError: Too many exchanges at once, or too many instances.
            DependencyUnavailableError: The archive cannot be asked.
        """
        Recipient(recipient.peer).peer.require_dimse()
        with self.turns.one():
            selected = await select(self.archive, selection)
            yield Total(len(selected))
            arrived = set[str]()
            instances = [item.instance for item in selected]
            async with aclosing(self.user.send(recipient, instances)) as outcomes:
                async for sent in outcomes:
                    if sent.arrived:
                        arrived.add(sent.sop_instance_uid)
                    yield sent
            there = [item for item in selected if item.instance.sop_instance_uid in arrived]
            if verification is Verification.COUNT:
                yield await verify_count(self.client, recipient.peer, there)
            elif verification is Verification.COMMITMENT:
                peer = recipient.peer
                yield await verify_commitment(self.client, self.commitments, peer, there)

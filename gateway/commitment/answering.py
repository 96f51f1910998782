"""Answers requests for storage commitment: judges, then reports until the peer has taken it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.commitment.commitment import (
    DUPLICATE_TRANSACTION,
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    Commitment,
    Reference,
    encode_report,
)
from gateway.commitment.folder import CommitmentFolder
from gateway.commitment.service import Asker
from gateway.commitment.verdict import Store, failures
from gateway.dimse.audited import Recorder
from gateway.dimse.commands import InstanceName
from gateway.dimse.denials import method_of, subject_of
from gateway.dimse.errors import PeerGoneError, PeerSilentError, ProtocolError
from gateway.dimse.requestor import Proposal
from gateway.dimse.settings import DicomSettings
from gateway.outgoing import NotReachedError, OutgoingSettings, associated
from gateway.peers.peer import Peer, Recipient
from heimdallr.access.v1.audit_action_pb2 import AuditAction
from services.dicom.errors import DicomError
from services.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from services.runtime import logs
from services.runtime.client import ServiceCallError
from services.runtime.errors import DependencyUnavailableError

REPORTED: Final = "commitment.reported"
LATER: Final = "commitment.later"
GIVEN_UP: Final = "commitment.given_up"
_WELL_KNOWN: Final = InstanceName(PUSH_MODEL, PUSH_MODEL_INSTANCE)
_OFFER: Final = Proposal(
    PUSH_MODEL, (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN), as_provider=True
)
_AT_ONCE: Final = 2
"""Requests that are judged at the same time."""
_ENDS: Final = (PeerGoneError, PeerSilentError, ProtocolError)


class Peers(Protocol):
    """The registry of peers."""

    async def find(self, ae_title: str) -> Peer | None:
        """Return the peer of an AE title; None unless exactly one is registered."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is needed to answer.

    Attributes:
        store: Where instances are found and read.
        peers: Where peers are that went away.
        outgoing: How they are called.
        settled: Whether everything that was acknowledged is indexed.
        recorder: Writes the audit trail.
    """

    store: Store
    peers: Peers
    outgoing: OutgoingSettings
    settled: Callable[[], bool]
    recorder: Recorder


class NobodyError(Exception):
    """The association is gone and nobody registered the peer: there is none to report to."""


class NotTakenError(Exception):
    """The peer did not take the report; it will be tried again."""


_LATER: Final = (NotTakenError, ServiceCallError, DependencyUnavailableError, DicomError)


class CommitmentQueue:
    """Answers every request that is kept.

    Args:
        folder: Keeps them.
        around: What is needed to answer.
        settings: When.
    """

    def __init__(
        self, folder: CommitmentFolder, around: Surroundings, settings: DicomSettings
    ) -> None:
        self._folder = folder
        self._around = around
        self._settings = settings
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[asyncio.Task[None], Commitment] = {}

    def has_room(self, instance_count: int) -> bool:
        """See ``Queue``."""
        waiting = sum(len(commitment.references) for commitment in self._tasks.values())
        return (
            len(self._tasks) < self._settings.commitment_requests
            and waiting + instance_count <= self._settings.commitment_instances
        )

    def add(self, commitment: Commitment, asker: Asker | None) -> None:
        """See ``Queue``."""
        task = asyncio.create_task(self._answer(commitment, self._is_taken(commitment), asker))
        self._tasks[task] = commitment
        task.add_done_callback(self._ended)

    async def run(self) -> None:
        """Answer what was kept before a restart, and stop answering when cancelled."""
        try:
            for commitment in await asyncio.to_thread(self._folder.found):
                self.add(commitment, None)
            await asyncio.Event().wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_taken(self, commitment: Commitment) -> bool:
        """Whether the transaction UID names another request that still waits."""
        key = (commitment.ae_title, commitment.transaction_uid)
        return any(
            key == (other.ae_title, other.transaction_uid)
            and set(other.references) != set(commitment.references)
            for other in self._tasks.values()
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logs.get_logger().error(GIVEN_UP, **logs.failure(error))

    async def _answer(self, commitment: Commitment, is_taken: bool, asker: Asker | None) -> None:
        found: Mapping[Reference, int] | None = None
        if is_taken:
            found = dict.fromkeys(commitment.references, DUPLICATE_TRANSACTION)
        began, retry_s = time.monotonic(), self._settings.commitment_first_retry_s
        while time.monotonic() - began < self._settings.commitment_given_up_s:
            try:
                if found is None:
                    found = await self._judged(commitment)
                await self._report(commitment, found, asker)
            except _LATER as error:
                logs.get_logger().warning(LATER, error_type=type(error).__name__)
            except NobodyError:
                logs.get_logger().warning(GIVEN_UP, rule="PEER_OUTSIDE")
                break
            else:
                logs.get_logger().info(REPORTED, count=len(commitment.references) - len(found))
                break
            asker = None
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, self._settings.commitment_longest_retry_s)
        else:
            logs.get_logger().error(GIVEN_UP, count=len(commitment.references))
        await asyncio.to_thread(self._folder.forget, commitment.commitment_id)

    async def _judged(self, commitment: Commitment) -> Mapping[Reference, int]:
        if not self._around.settled():
            # What was acknowledged may still wait in the journal: it would seem unknown.
            raise NotTakenError
        async with self._turns:
            entry_id = await self._around.recorder.begin(
                method_of("N_ACTION"),
                AuditAction.AUDIT_ACTION_COMMIT_STORAGE,
                subject_of(commitment.ae_title),
                None,
            )
            found = await failures(commitment.references, self._around.store)
            await self._around.recorder.end(entry_id, "DATA_LOSS" if found else "OK", "")
            return found

    async def _report(
        self,
        commitment: Commitment,
        found: Mapping[Reference, int],
        asker: Asker | None,
    ) -> None:
        if asker is not None:
            await asyncio.sleep(self._settings.commitment_same_association_s)
            if await self._report_here(commitment, found, asker):
                return
        await self._report_there(commitment, found)

    async def _report_here(
        self, commitment: Commitment, found: Mapping[Reference, int], asker: Asker
    ) -> bool:
        event, data_set = self._encoded(commitment, found, asker.transfer_syntax)
        try:
            return await asker.responder.report(_WELL_KNOWN, event, data_set) == 0
        except _ENDS:
            return False

    async def _report_there(self, commitment: Commitment, found: Mapping[Reference, int]) -> None:
        peer = await self._around.peers.find(commitment.ae_title)
        if peer is None or not peer.inside:
            raise NobodyError
        try:
            async with associated(Recipient(peer), [_OFFER], self._around.outgoing) as link:
                for context in link.contexts.values():
                    event, data_set = self._encoded(commitment, found, context.transfer_syntax)
                    status = await link.report(context.context_id, _WELL_KNOWN, event, data_set)
                    if status == 0:
                        return
        except (*_ENDS, NotReachedError) as error:
            raise NotTakenError from error
        raise NotTakenError

    def _encoded(
        self, commitment: Commitment, found: Mapping[Reference, int], syntax: str
    ) -> tuple[int, bytes]:
        return encode_report(commitment, found, self._around.outgoing.ae_title, syntax)

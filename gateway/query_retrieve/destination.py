"""Where C-MOVE sends to: a registered peer inside, reached over an association of ours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from gateway.dimse.commands import InstanceName, MoveOriginator
from gateway.dimse.errors import PeerGoneError, PeerSilentError, ProtocolError
from gateway.dimse.link import Link
from gateway.dimse.requestor import MAX_CONTEXTS, Proposal
from gateway.peers.peer import Recipient
from gateway.query_retrieve.sending import BegunDataSet, Parcel
from gateway.query_retrieve.stored import WRITTEN, StoredInstance, StoredInstances
from services.dicom.errors import InconsistentError

LOST: Final = 0xA700
"""Status of what was being sent when the destination was lost."""
_ENDS: Final = (PeerGoneError, PeerSilentError, ProtocolError)


class Destination:
    """An association with a destination.

    Args:
        link: The association.
        recipient: Who is at its other end.
        stored: Reads instances.
        originator: Who asked by C-MOVE; a destination outside is not told.
    """

    def __init__(
        self,
        link: Link,
        recipient: Recipient,
        stored: StoredInstances,
        originator: MoveOriginator,
    ) -> None:
        self._link = link
        self._recipient = recipient
        self._stored = stored
        self._originator = originator if recipient.peer.inside else None

    async def prepare(self, instance: StoredInstance) -> Parcel:
        """Read the beginning of an instance and return how it is sent.

        Raises:
            ServiceError, ServiceCallError, OSError, DicomError: It cannot be read or recoded, or
                the destination does not take it.
        """
        self._recipient.require(instance.ref.sha256)
        context_id, syntax = self._context(instance)
        data_set = BegunDataSet(self._stored.data_set(instance, syntax))
        await data_set.begin()
        name = InstanceName(instance.sop_class_uid, instance.sop_instance_uid)
        return Parcel(data_set, lambda read: self._send(context_id, name, read))

    async def _send(self, context_id: int, name: InstanceName, data_set: BegunDataSet) -> int:
        try:
            return await self._link.store(context_id, name, data_set.chunks(), self._originator)
        except _ENDS:
            return LOST

    def _context(self, instance: StoredInstance) -> tuple[int, str]:
        found = {
            context.transfer_syntax: context.context_id
            for context in self._link.contexts.values()
            if context.abstract_syntax == instance.sop_class_uid
        }
        for syntax in (instance.transfer_syntax_uid, *WRITTEN):
            if syntax in found:
                return found[syntax], syntax
        raise InconsistentError("SOPClassUID", "the destination does not take it")


def groups(instances: Iterable[StoredInstance]) -> Iterator[list[StoredInstance]]:
    """Yield instances in runs whose presentation contexts fit one association each."""
    run: list[StoredInstance] = []
    kinds: set[tuple[str, str]] = set()
    for instance in instances:
        kind = (instance.sop_class_uid, instance.transfer_syntax_uid)
        # Two contexts each: as it is stored, and recoded.
        if kind not in kinds and len(kinds) >= MAX_CONTEXTS // 2:
            yield run
            run, kinds = [], set()
        kinds.add(kind)
        run.append(instance)
    if run:
        yield run


def proposals_for(instances: Iterable[StoredInstance], takes: Collection[str]) -> list[Proposal]:
    """Return the presentation contexts for what is to be sent.

    Args:
        instances: What is to be sent.
        takes: Transfer syntaxes that the destination takes; empty for any.
    """
    kinds = dict.fromkeys((i.sop_class_uid, i.transfer_syntax_uid) for i in instances)
    proposals: dict[Proposal, None] = {}
    for sop_class, own in kinds:
        if not takes or own in takes:
            proposals[Proposal(sop_class, (own,))] = None
        others = tuple(uid for uid in WRITTEN if uid != own and (not takes or uid in takes))
        if others:
            proposals[Proposal(sop_class, others)] = None
    return list(proposals)

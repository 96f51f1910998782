"""C-STORE as user (PS3.4 Annex B), over our own upper layer: bytes stream from the store."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from gateway.dimse.commands import InstanceName
from gateway.dimse.errors import PeerGoneError, PeerSilentError, ProtocolError
from gateway.dimse.inbox import InboxLimits
from gateway.dimse.link import Link
from gateway.dimse.requestor import Proposal, RefusedByPeerError, Target, associate
from gateway.peers.errors import PeerRefusedError, PeerUnreachableError
from gateway.peers.outcome import Sent, StoreOutcome
from gateway.peers.peer import Peer, Recipient
from gateway.peers.resolving import addresses
from gateway.peers.settings import ExchangeSettings
from gateway.peers.tls import client_context
from gateway.query_retrieve.destination import groups
from gateway.query_retrieve.stored import NOT_READ, WRITTEN, StoredInstance, StoredInstances

_GONE: Final = (PeerGoneError, PeerSilentError, ProtocolError)
_SUCCESS: Final = 0x0000
_WARNING: Final = 0xB
_WARNINGS: Final = (0x0001, 0x0107, 0x0116)
_REASONS: Final = {
    0xA7: "out of resources",
    0xA9: "the data set does not fit its SOP class",
    0xC0: "it cannot understand the data set",
    0x01: "refused or not supported",
}
"""By the first half of a status, PS3.4 Table B.2-1 and PS3.7 Annex C."""
_TIMES_LOST: Final = 2


class StoreUser:
    """Sends instances to peers.

    Args:
        settings: Bounds and times.
        ae_title: Our AE title.
        stored: Reads instances.
    """

    def __init__(self, settings: ExchangeSettings, ae_title: str, stored: StoredInstances) -> None:
        self._settings = settings
        self._ae_title = ae_title
        self._stored = stored

    async def send(
        self, recipient: Recipient, instances: Sequence[StoredInstance]
    ) -> AsyncGenerator[Sent, None]:
        """Send instances and yield what became of each.

        What was not sent when an association broke is sent over another one, until two in a row
        break without bringing anything.

        Raises:
            PeerOutsideError: Something of it may not go there.
            PeerUnreachableError, PeerRefusedError: Nothing could be sent at all.
        """
        recipient.check()
        for instance in instances:
            recipient.require(instance.ref.sha256)
        for group in groups(instances):
            waiting = deque(group)
            lost = 0
            while waiting and lost < _TIMES_LOST:
                before = len(waiting)
                try:
                    async with self._line(recipient.peer, group) as link:
                        while waiting:
                            recipient.require(waiting[0].ref.sha256)
                            sent = await self._send(link, waiting[0])
                            waiting.popleft()
                            yield sent
                except _GONE:
                    lost = lost + 1 if len(waiting) == before else 0
            for instance in waiting:
                yield _not_sent(instance, "the peer broke off")

    async def _send(self, link: Link, instance: StoredInstance) -> Sent:
        chosen = _context(link, instance)
        if chosen is None:
            return _not_sent(instance, "the peer takes it in no form that can be written")
        context_id, syntax = chosen
        name = InstanceName(instance.sop_class_uid, instance.sop_instance_uid)
        try:
            data_set = self._stored.data_set(instance, syntax)
            status = await link.store(context_id, name, data_set)
        except _GONE:
            raise
        except NOT_READ:
            return _not_sent(instance, "it cannot be read or recoded here")
        return _sent(instance, status)

    @asynccontextmanager
    async def _line(self, peer: Peer, group: Iterable[StoredInstance]) -> AsyncIterator[Link]:
        target = await self._target(peer)
        proposals = _proposals(group, target_takes(peer))
        limits = InboxLimits(
            max_pdu_length=self._settings.max_pdu_length,
            max_object_bytes=self._settings.max_message_bytes,
            idle_timeout_s=self._settings.message_timeout_s,
            pdu_timeout_s=self._settings.message_timeout_s,
        )
        async with AsyncExitStack() as stack:
            try:
                line = associate(target, proposals, limits, self._settings.associate_timeout_s)
                link = await stack.enter_async_context(line)
            except RefusedByPeerError:
                raise PeerRefusedError(peer.name, "A-ASSOCIATE-RJ", "the association") from None
            except ssl.SSLError:
                raise PeerUnreachableError(peer.name, "tls", "TLS is not agreed on") from None
            except (OSError, TimeoutError):
                raise PeerUnreachableError(peer.name, "connect", "no connection") from None
            except _GONE:
                why = "no answer to the association request"
                raise PeerUnreachableError(peer.name, "associate", why) from None
            yield link

    async def _target(self, peer: Peer) -> Target:
        there, shown = peer.require_dimse(), peer.credentials
        timeout_s = self._settings.connect_timeout_s
        tls = None
        if there.tls:
            pinned = bool(there.tls_ca_pem)
            tls = client_context(there.tls_ca_pem, shown, names_are_checked=not pinned)
        return Target(
            addresses=await addresses(peer.name, there.host, there.port, timeout_s),
            port=there.port,
            called_ae_title=there.ae_title,
            calling_ae_title=there.calling_ae_title or self._ae_title,
            host=there.host,
            tls=tls,
            user_name=shown.user_name,
            password=shown.password,
        )


def target_takes(peer: Peer) -> Sequence[str]:
    """Return the transfer syntaxes that a peer takes; none means any."""
    return peer.require_dimse().transfer_syntax_uids


def _proposals(instances: Iterable[StoredInstance], takes: Sequence[str]) -> list[Proposal]:
    proposals: dict[Proposal, None] = {}
    for instance in instances:
        sop_class, own = instance.sop_class_uid, instance.transfer_syntax_uid
        if not takes or own in takes:
            proposals[Proposal(sop_class, (own,))] = None
        others = tuple(uid for uid in WRITTEN if uid != own and (not takes or uid in takes))
        if others:
            proposals[Proposal(sop_class, others)] = None
    return list(proposals)


def _context(link: Link, instance: StoredInstance) -> tuple[int, str] | None:
    found = {
        context.transfer_syntax: context.context_id
        for context in link.contexts.values()
        if context.abstract_syntax == instance.sop_class_uid
    }
    for syntax in (instance.transfer_syntax_uid, *WRITTEN):
        if syntax in found:
            return found[syntax], syntax
    return None


def _sent(instance: StoredInstance, status: int) -> Sent:
    uid = instance.sop_instance_uid
    if status == _SUCCESS:
        return Sent(uid, StoreOutcome.STORED)
    if status >> 12 == _WARNING or status in _WARNINGS:
        return Sent(uid, StoreOutcome.WARNING, status, "it says that something is not as it was")
    reason = _REASONS.get(status >> 8, "refused")
    return Sent(uid, StoreOutcome.REFUSED, status, reason)


def _not_sent(instance: StoredInstance, reason: str) -> Sent:
    return Sent(instance.sop_instance_uid, StoreOutcome.NOT_SENT, 0, reason)

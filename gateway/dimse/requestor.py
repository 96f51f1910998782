"""Associations that we ask for, over our own upper layer (PS3.8 section 7.1).

For what goes out on behalf of a peer that asked: sub-operations of C-MOVE and event reports.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from gateway.dimse import pdu
from gateway.dimse.commands import C_ECHO_RQ, Command, Reply, Status
from gateway.dimse.connection import Connection
from gateway.dimse.errors import (
    PeerGoneError,
    PeerSilentError,
    ProtocolError,
    ReleasedError,
)
from gateway.dimse.inbox import InboxLimits
from gateway.dimse.link import Link
from gateway.dimse.negotiation import (
    ACCEPTED,
    APPLICATION_CONTEXT,
    ContextResult,
    user_information,
)

MAX_CONTEXTS: Final = 128
_UNRECOGNIZED_OPERATION: Final = Status(0x0211, "not offered")
_FAREWELL_S: Final = 5.0
_SPARE_BYTES: Final = 4096


class RefusedByPeerError(Exception):
    """The peer rejects the association, or answers it with something else."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A presentation context that we propose.

    Attributes:
        abstract_syntax: SOP class.
        transfer_syntaxes: In which forms, best first.
        as_provider: Whether we are its provider rather than its user.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    as_provider: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Whom we call.

    Attributes:
        addresses: Numeric addresses, tried in turn.
        port: TCP port.
        called_ae_title: Its AE title.
        calling_ae_title: Ours.
        host: Name in its certificate.
        tls: How TLS is spoken; None for plain TCP.
        user_name: For user identity negotiation (PS3.7 D.3.3.7); "" for none.
        password: Its password.
    """

    addresses: Sequence[str]
    port: int
    called_ae_title: str
    calling_ae_title: str
    host: str
    tls: ssl.SSLContext | None = None
    user_name: str = ""
    password: str = ""


@asynccontextmanager
async def associate(
    target: Target, proposals: Sequence[Proposal], limits: InboxLimits, timeout_s: float
) -> AsyncIterator[Link]:
    """Associate with a peer for the length of the block, then release.

    Args:
        target: The peer.
        proposals: At most ``MAX_CONTEXTS``.
        limits: What the peer may send.
        timeout_s: Longest time to connect, and again to be answered.

    Raises:
        OSError, TimeoutError: No connection, or no TLS.
        RefusedByPeerError: The association is refused.
        PeerGoneError, PeerSilentError, ProtocolError: It breaks off before it is answered.
    """
    connection = await _connected(target, limits, timeout_s)
    last_words = pdu.encode_abort(0)
    try:
        accept = await _agreed(connection, target, proposals, limits, timeout_s)
        link = Link(connection, _contexts(accept, proposals), limits, accept.max_pdu_length)
        listening = asyncio.create_task(_listen(link))
        try:
            yield link
            if not listening.done():
                last_words = pdu.encode_release_request()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await link.close()
    finally:
        connection.close(_FAREWELL_S, last_words)


async def _connected(target: Target, limits: InboxLimits, timeout_s: float) -> Connection:
    capacity = max(2 * limits.max_pdu_length, pdu.MAX_ASSOCIATE_BYTES) + _SPARE_BYTES
    loop = asyncio.get_running_loop()
    failure: Exception = PeerGoneError()
    for address in target.addresses:
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(capacity, _ignore, _ignore),
                    address,
                    target.port,
                    ssl=target.tls,
                    server_hostname=target.host if target.tls is not None else None,
                )
                return connection
        except (OSError, TimeoutError) as error:
            failure = error
    raise failure


def _ignore(_connection: Connection) -> None:
    """Nobody counts the connections that we open."""


async def _agreed(
    connection: Connection,
    target: Target,
    proposals: Sequence[Proposal],
    limits: InboxLimits,
    timeout_s: float,
) -> pdu.AssociateAccept:
    request = _encode_request(target, proposals, limits.max_pdu_length)
    await connection.write(request, timeout_s)
    kind, length = pdu.decode_header(await connection.read(pdu.HEADER_BYTES, timeout_s))
    if kind != pdu.ASSOCIATE_AC:
        raise RefusedByPeerError
    if length > pdu.MAX_ASSOCIATE_BYTES:
        raise ProtocolError("ASSOCIATE_TOO_LONG", pdu.INVALID_PARAMETER)
    return pdu.decode_associate_accept(await connection.read(length, timeout_s))


async def _listen(link: Link) -> None:
    """Take responses; a request of the peer, which we did not offer anything, is refused."""
    with suppress(PeerGoneError, PeerSilentError, ProtocolError, ReleasedError):
        while True:
            context_id, command = await link.look_ahead()
            link.taken()
            if command.has_data_set:
                async for _ in link.data_set(context_id):
                    pass
            await link.respond(context_id, command, _reply(command))
    link.lose()


def _reply(command: Command) -> Reply:
    return Reply(Status(0) if command.field == C_ECHO_RQ else _UNRECOGNIZED_OPERATION)


def _contexts(
    accept: pdu.AssociateAccept, proposals: Sequence[Proposal]
) -> Mapping[int, ContextResult]:
    found = {}
    for context_id, (result, syntax) in accept.results.items():
        index = (context_id - 1) // 2
        if result == ACCEPTED and index < len(proposals):
            proposal = proposals[index]
            if syntax in proposal.transfer_syntaxes:
                found[context_id] = ContextResult(
                    context_id, ACCEPTED, proposal.abstract_syntax, syntax
                )
    return found


def _encode_request(target: Target, proposals: Sequence[Proposal], max_pdu_length: int) -> bytes:
    items = [pdu.encode_item(0x10, APPLICATION_CONTEXT.encode("ascii"))]
    for index, proposal in enumerate(proposals):
        syntaxes = (proposal.abstract_syntax, *proposal.transfer_syntaxes)
        inner = b"".join(
            pdu.encode_item(0x40 if place else 0x30, uid.encode("ascii"))
            for place, uid in enumerate(syntaxes)
        )
        items.append(pdu.encode_item(0x20, bytes((2 * index + 1, 0, 0, 0)) + inner))
    roles = {p.abstract_syntax: pdu.Roles(False, True) for p in proposals if p.as_provider}
    user = user_information(max_pdu_length, roles, {}) + _identity(target)
    items.append(pdu.encode_item(0x50, user))
    titles = _title(target.called_ae_title) + _title(target.calling_ae_title)
    return pdu.encode(pdu.ASSOCIATE_RQ, b"\x00\x01\x00\x00" + titles + bytes(32) + b"".join(items))


def _identity(target: Target) -> bytes:
    if not target.user_name:
        return b""
    name, password = target.user_name.encode(), target.password.encode()
    kind = bytes((2 if password else 1, 0))
    return pdu.encode_item(0x58, kind + pdu.sized(name) + pdu.sized(password))


def _title(ae_title: str) -> bytes:
    return ae_title.encode("ascii", "replace")[:16].ljust(16)

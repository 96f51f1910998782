"""STOW-RS as user agent (PS3.18 section 10.5)."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import aiohttp

from gateway.dicomweb_client.search import DICOM_JSON
from gateway.dicomweb_client.session import WebSession, refusal
from gateway.peers.errors import PeerOutsideError, PeerRefusedError, PeerUnreachableError
from gateway.peers.outcome import Sent, StoreOutcome
from gateway.peers.peer import Recipient
from gateway.query_retrieve.stored import NOT_READ, StoredInstance, StoredInstances
from services.dicom.part10 import file_meta

_MOST_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 256 << 20
_REFERENCED, _FAILED = "00081199", "00081198"
_INSTANCE, _WARNING, _FAILURE = "00081155", "00081196", "00081197"
_PER_INSTANCE: Final = (200, 202, 409)
_REASONS: Final = {
    0xA7: "out of resources",
    0xA9: "the data set does not fit its SOP class",
    0xC0: "it cannot understand the data set",
    0x01: "refused or not supported",
}
"""By the first half of Failure Reason (0008,1197), PS3.18 Table 10.5.3-1 and Annex I.2."""


async def store(
    session: WebSession,
    recipient: Recipient,
    instances: Sequence[StoredInstance],
    stored: StoredInstances,
) -> AsyncGenerator[Sent, None]:
    """Send instances in several requests; yield what became of each.

    Raises:
        PeerOutsideError: Something of it may not go there, or the session is another peer's.
        PeerUnreachableError, PeerRefusedError: The peer takes the first request not at all.
    """
    if recipient.peer != session.peer:
        raise PeerOutsideError(session.peer.name)
    for instance in instances:
        recipient.require(instance.ref.sha256)
    begun = False
    for group in _groups(instances):
        try:
            async with aclosing(_send(session, recipient, group, stored)) as outcomes:
                async for sent in outcomes:
                    begun = True
                    yield sent
        except (PeerUnreachableError, PeerRefusedError) as error:
            if not begun:
                raise
            for instance in group:
                yield _not_sent(instance, error.message)


def _groups(instances: Sequence[StoredInstance]) -> Iterator[list[StoredInstance]]:
    group: list[StoredInstance] = []
    size = 0
    for instance in instances:
        if group and (
            len(group) == _MOST_AT_ONCE or size + instance.ref.size_bytes > _BYTES_AT_ONCE
        ):
            yield group
            group, size = [], 0
        group.append(instance)
        size += instance.ref.size_bytes
    if group:
        yield group


async def _send(
    session: WebSession,
    recipient: Recipient,
    group: Sequence[StoredInstance],
    stored: StoredInstances,
) -> AsyncGenerator[Sent, None]:
    rest = list(group)
    while rest:
        body = _Body(recipient, rest, stored)
        try:
            outcomes = await _post(session, body, rest)
        except (PeerUnreachableError, PeerRefusedError):
            if body.broken is None:
                raise
            # Half a request is no request: what cannot be read is left out of the next.
            yield _not_sent(body.broken, "it cannot be read here")
            rest.remove(body.broken)
        else:
            for sent in outcomes:
                yield sent
            return


class _Body:
    """A multipart body that is read as it is sent.

    Attributes:
        broken: The instance that could not be read, once it was tried.
    """

    def __init__(
        self,
        recipient: Recipient,
        instances: Sequence[StoredInstance],
        stored: StoredInstances,
    ) -> None:
        self._recipient = recipient
        self._instances = instances
        self._stored = stored
        self._boundary = uuid.uuid4().hex
        self.broken: StoredInstance | None = None

    @property
    def content_type(self) -> str:
        return f'multipart/related; type="application/dicom"; boundary={self._boundary}'

    async def pieces(self) -> AsyncIterator[bytes]:
        head = f"--{self._boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        for instance in self._instances:
            self._recipient.require(instance.ref.sha256)
            try:
                yield head + _meta(instance)
                data_set = self._stored.data_set(instance, instance.transfer_syntax_uid)
                async with aclosing(data_set) as pieces:
                    async for piece in pieces:
                        yield piece
            except NOT_READ as error:
                self.broken = instance
                raise aiohttp.ClientPayloadError from error
            yield b"\r\n"
        yield f"--{self._boundary}--\r\n".encode()


async def _post(
    session: WebSession, body: _Body, instances: Sequence[StoredInstance]
) -> list[Sent]:
    async with session.post("studies", body.content_type, body.pieces(), DICOM_JSON) as response:
        status = response.status
        found = _parsed(await session.body(response))
    if status not in _PER_INSTANCE or (found is None and status >= 300):
        raise refusal(session.peer, status)
    if found is None:
        # It says no more than that all is well.
        return [Sent(instance.sop_instance_uid, StoreOutcome.STORED) for instance in instances]
    said = dict(_said(found))
    return [
        said.get(instance.sop_instance_uid)
        or Sent(instance.sop_instance_uid, StoreOutcome.REFUSED, status, "it does not name it")
        for instance in instances
    ]


def _meta(instance: StoredInstance) -> bytes:
    return file_meta(
        instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    )


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = found[0] if isinstance(found, list) and found else found
    return found if isinstance(found, dict) else None


def _said(found: dict[str, Any]) -> Iterator[tuple[str, Sent]]:
    for item in _items(found, _REFERENCED):
        uid, warning = str(_first(item, _INSTANCE)), _number(item, _WARNING)
        if warning:
            text = "it says that something is not as it was"
            yield uid, Sent(uid, StoreOutcome.WARNING, warning, text)
        else:
            yield uid, Sent(uid, StoreOutcome.STORED)
    for item in _items(found, _FAILED):
        uid, status = str(_first(item, _INSTANCE)), _number(item, _FAILURE)
        reason = _REASONS.get(status >> 8, "refused")
        yield uid, Sent(uid, StoreOutcome.REFUSED, status, reason)


def _items(found: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    element = found.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []


def _first(item: dict[str, Any], tag: str) -> Any:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else ""


def _number(item: dict[str, Any], tag: str) -> int:
    value = _first(item, tag)
    return value if isinstance(value, int) and 0 <= value <= 0xFFFF else 0


def _not_sent(instance: StoredInstance, reason: str) -> Sent:
    return Sent(instance.sop_instance_uid, StoreOutcome.NOT_SENT, 0, reason)

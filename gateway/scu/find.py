"""C-FIND (PS3.4 section C.4.1)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from pynetdicom import evt

from gateway.peers.errors import PeerRefusedError
from gateway.scu.association import Called, Caller, Line, Offer
from gateway.scu.echo import PLAIN_SYNTAXES, SUCCESS
from gateway.scu.identifier import Key, Level, Model, data_set
from gateway.scu.worker import Outlet
from services.dicom.errors import DicomError
from services.dicom.json import JsonObject, header_json
from services.dicom.walk import Limits

MAX_MATCHES: Final = 10_000
PENDING: Final = (0xFF00, 0xFF01)
_CANCELLED: Final = 0xFE00
_LIMITS: Final = Limits(max_elements=10_000, max_item_elements=2_000, max_depth=8)
_MESSAGE_ID: Final = 1
_MOST_WAITING: Final = 256
_LATE_MATCHES: Final = 100
_POLL_S: Final = 0.01
_RULES: Final = {
    0xA700: "out of resources",
    0xA900: "the identifier does not fit its SOP class",
    0x0122: "the SOP class is not supported",
    0x0124: "not authorized",
    0xA801: "the move destination is unknown there",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A query.

    Attributes:
        model: Information model.
        level: Level; None for the worklist.
        keys: Matching keys and what is asked for.
        limit: Most matches, then it is cancelled.
    """

    model: Model
    level: Level | None
    keys: Sequence[Key]
    limit: int = MAX_MATCHES


class Truncated:
    """The last result of a query whose limit cut the matches short."""


def find(
    caller: Caller, called: Called, query: Query, outlet: Outlet[JsonObject | Truncated]
) -> None:
    """Query a peer; puts each match as an object of the DICOM JSON Model (PS3.18 Annex F).

    Raises:
        PeerUnreachableError, PeerRefusedError: It does not answer, or with a failure.
        InvalidFieldError: A key is none.
    """
    identifier = data_set(query.level, query.keys)
    offer = Offer(query.model.find_class, PLAIN_SYNTAXES)
    raw = _Raw()
    handlers = [(evt.EVT_DIMSE_RECV, raw.keep)]
    with raw, caller.line(called, [offer], outlet, handlers=handlers) as line:
        syntax = str(line.association.accepted_contexts[0].transfer_syntax[0])
        responses = line.association.send_c_find(
            identifier, query.model.find_class, msg_id=_MESSAGE_ID
        )
        matches = _Matches(line, query, syntax, outlet)
        for status, _ in responses:
            if not matches.take(status.get("Status"), raw):
                break


def refusal(line: Line, status: int, what: str) -> PeerRefusedError:
    """Return the error for a status of failure."""
    rule = _RULES.get(status, "it failed there")
    return PeerRefusedError(line.peer.name, f"{status:04X}", f"{what}: {rule}")


class _Raw:
    """Identifiers as bytes: what pydicom makes of them is never looked at.

    Its handler runs in the thread that reads, which waits here while many are not taken.
    """

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()

    def keep(self, event: Any) -> None:
        """Keep that of a match; a handler of ``EVT_DIMSE_RECV``."""
        message = event.message
        if type(message).__name__ != "C_FIND_RSP" or message.command_set.Status not in PENDING:
            return
        while len(self._waiting) >= _MOST_WAITING and not self._over.wait(_POLL_S):
            pass
        self._waiting.append(message.data_set.getvalue() if message.data_set else b"")

    def take(self) -> bytes:
        """Return that of the oldest match."""
        return self._waiting.popleft() if self._waiting else b""


class _Matches:
    def __init__(
        self, line: Line, query: Query, syntax: str, outlet: Outlet[JsonObject | Truncated]
    ) -> None:
        self._line = line
        self._query = query
        self._syntax = syntax
        self._outlet = outlet
        self._left = query.limit

    def take(self, status: int | None, raw: _Raw) -> bool:
        """Take one response and return whether more come."""
        if status is None:
            raise self._line.lost()
        if status in PENDING:
            return self._match(raw.take())
        cancelled = self._left < 0
        if status != SUCCESS and not (cancelled and status == _CANCELLED):
            raise refusal(self._line, status, "C-FIND")
        if cancelled:
            self._outlet.put(Truncated())
        return False

    def _match(self, data: bytes) -> bool:
        self._left -= 1
        if self._left >= 0:
            self._outlet.put(self._decoded(data))
            return True
        if self._left == -1:
            model = self._query.model.find_class
            self._line.association.send_c_cancel(_MESSAGE_ID, query_model=model)
        if -self._left < _LATE_MATCHES:
            return True
        # It does not hear of the cancel.
        self._outlet.put(Truncated())
        self._line.guard.cut()
        return False

    def _decoded(self, data: bytes) -> JsonObject:
        try:
            return header_json(data, self._syntax, _LIMITS)
        except DicomError:
            raise PeerRefusedError(self._line.peer.name, "C000", "its match is broken") from None

"""What every C-FIND has in common, whatever is searched (PS3.4 C.4.1 and K.4.1)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from gateway.dimse.commands import SUCCESS, Reply, Status
from gateway.dimse.service import Responder
from gateway.query_retrieve.query import IdentifierError
from services.dicom.errors import DicomError
from services.runtime.client import ServiceCallError

PENDING: Final = Status(0xFF00)
PENDING_IN_PART: Final = Status(0xFF01)
CANCELLED: Final = Status(0xFE00, "cancelled")
_UNABLE_TO_PROCESS: Final = 0xC000
_DOES_NOT_MATCH: Final = 0xA900

_QueryT = TypeVar("_QueryT")
_MatchT = TypeVar("_MatchT")


async def answer_query(
    read: Callable[[], _QueryT], answer: Callable[[_QueryT], Awaitable[Reply]], away: Status
) -> Reply:
    """Answer a query; one that cannot be read or answered gets the status that says so.

    Args:
        read: Reads the identifier.
        answer: Searches, and sends what it finds.
        away: Status for a service that cannot be asked now.
    """
    try:
        query = read()
    except DicomError as error:
        return Reply(Status(_DOES_NOT_MATCH, f"{error.field}: {error.rule}"))
    except IdentifierError as error:
        return Reply(Status(_DOES_NOT_MATCH, error.rule))
    try:
        return await answer(query)
    except ServiceCallError as error:
        if error.retryable:
            return Reply(away)
        return Reply(Status(_UNABLE_TO_PROCESS, error.metadata.get("rule", "")))


async def send_matches(
    found: AsyncGenerator[_MatchT, None],
    data_set: Callable[[_MatchT], bytes],
    responder: Responder,
    *,
    is_whole: bool,
) -> Reply:
    """Send each match as it is found, until the peer cancels.

    Args:
        found: The matches.
        data_set: Encodes one.
        responder: Of the peer.
        is_whole: Whether every optional key was supported.
    """
    status = PENDING if is_whole else PENDING_IN_PART
    async with aclosing(found) as matches:
        async for match in matches:
            if responder.is_cancelled:
                return Reply(CANCELLED)
            await responder.pending(Reply(status, data_set(match)))
    return Reply(CANCELLED if responder.is_cancelled else SUCCESS)

"""What C-MOVE and C-GET have in common: who may ask, and for what."""

from __future__ import annotations

from typing import Final

from gateway.dimse.callers import Registry, refusal
from gateway.dimse.commands import Reply, Status
from gateway.dimse.service import Request
from gateway.query_retrieve.identifier import decode_identifier
from gateway.query_retrieve.models import model_of
from gateway.query_retrieve.progress import Progress
from gateway.query_retrieve.query import RELATIONAL, IdentifierError
from gateway.query_retrieve.selection import read_selection
from gateway.query_retrieve.stored import StoredInstance, StoredInstances
from services.dicom.errors import DicomError, LimitExceededError
from services.runtime.client import ServiceCallError

OPTIONS: Final = b"\x01"
"""Relational retrieval (PS3.4 C.5.2.1)."""
_DOES_NOT_MATCH: Final = 0xA900
_TOO_MANY: Final = Status(0xA701, "too many instances at once")
_ARCHIVE_AWAY: Final = Status(0xA701, "the archive cannot be asked")


class RefusedError(Exception):
    """A retrieval is not begun.

    Attributes:
        status: What the peer is told.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status.comment)
        self.status = status


async def selected(
    request: Request, registry: Registry, stored: StoredInstances
) -> list[StoredInstance]:
    """Return what a request asks for, if its caller may have it.

    Raises:
        RefusedError: The caller is not inside, the identifier does not fit, or nothing can be
            looked up.
    """
    refused = await refusal(registry, request.source)
    if refused is not None:
        raise RefusedError(refused)
    relational = request.context.options[RELATIONAL : RELATIONAL + 1] == b"\x01"
    model = model_of(request.context.abstract_syntax)
    try:
        identifier = decode_identifier(request.data_set, request.context.transfer_syntax)
        selection = read_selection(identifier, model, relational=relational)
    except DicomError as error:
        raise RefusedError(Status(_DOES_NOT_MATCH, f"{error.field}: {error.rule}")) from None
    except IdentifierError as error:
        raise RefusedError(Status(_DOES_NOT_MATCH, error.rule)) from None
    try:
        return await stored.find(selection)
    except LimitExceededError:
        raise RefusedError(_TOO_MANY) from None
    except ServiceCallError:
        raise RefusedError(_ARCHIVE_AWAY) from None


def finished(progress: Progress, *, whole: bool) -> Reply:
    """Return the last response; ``whole`` is what `send_all` returned."""
    return progress.last() if whole else progress.cancelled()

"""N-ACTION of storage commitment: a request is kept durably before it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from gateway.commitment.commitment import (
    PUSH_MODEL,
    PUSH_MODEL_INSTANCE,
    REQUEST,
    Commitment,
    read_request,
)
from gateway.commitment.folder import CommitmentFolder
from gateway.dimse.commands import ACTION_TYPE_ID, N_ACTION_RQ, SUCCESS, Reply, Status
from gateway.dimse.service import Request, Responder
from services.dicom.errors import DicomError
from services.runtime.errors import StorageFullError
from services.runtime.ids import new_id

NO_SUCH_INSTANCE: Final = Status(0x0112, "not the well-known instance")
NO_SUCH_ACTION: Final = Status(0x0123, "no such action")
NO_ROOM: Final = Status(0x0213, "too many requests wait")
_INVALID_ARGUMENT: Final = 0x0115


@dataclass(frozen=True, slots=True)
class Asker:
    """The association that a request came by.

    Attributes:
        responder: Sends the report, as long as the association lasts.
        transfer_syntax: Of the context that the request came in.
    """

    responder: Responder
    transfer_syntax: str


class Queue(Protocol):
    """Who answers requests that were taken."""

    def has_room(self, instance_count: int) -> bool:
        """Tell whether a request for so many instances is taken now."""
        ...

    def add(self, commitment: Commitment, asker: Asker | None) -> None:
        """Answer a request that is kept, in its time.

        Args:
            commitment: The request.
            asker: The association that it came by, if it still stands.
        """
        ...


class CommitmentService:
    """Takes requests for storage commitment.

    Args:
        folder: Keeps them.
        queue: Answers them.
    """

    operations: Mapping[str, frozenset[int]] = MappingProxyType(
        {PUSH_MODEL: frozenset({N_ACTION_RQ})}
    )
    options: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, folder: CommitmentFolder, queue: Queue) -> None:
        self._folder = folder
        self._queue = queue

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        if request.command.sop_instance_uid != PUSH_MODEL_INSTANCE:
            return Reply(NO_SUCH_INSTANCE)
        if request.command.number(ACTION_TYPE_ID, 0) != REQUEST:
            return Reply(NO_SUCH_ACTION)
        try:
            uid, references = read_request(request.data_set, request.context.transfer_syntax)
        except DicomError as error:
            return Reply(Status(_INVALID_ARGUMENT, f"{error.field}: {error.rule}"))
        if not self._queue.has_room(len(references)):
            return Reply(NO_ROOM)
        commitment = Commitment(new_id(), uid, request.source.calling_ae_title, references)
        try:
            await asyncio.to_thread(self._folder.keep, commitment)
        except StorageFullError:
            return Reply(NO_ROOM)
        self._queue.add(commitment, Asker(responder, request.context.transfer_syntax))
        return Reply(SUCCESS, numbers={ACTION_TYPE_ID: REQUEST})

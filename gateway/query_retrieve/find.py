"""C-FIND as provider, for patients, studies, series and instances (PS3.4 C.4.1)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Final

from gateway.dimse.callers import Registry, refusal
from gateway.dimse.commands import C_FIND_RQ, SUCCESS, Reply, Status
from gateway.dimse.service import Request, Responder
from gateway.query_retrieve.identifier import (
    QUERY_RETRIEVE_LEVEL,
    decode_identifier,
    encode_data_set,
)
from gateway.query_retrieve.matching import Condition, Range, Values
from gateway.query_retrieve.models import MODELS, Level, model_of
from gateway.query_retrieve.query import (
    FUZZY_NAMES,
    INSTANCE_AVAILABILITY,
    RELATIONAL,
    RETRIEVE_AE_TITLE,
    IdentifierError,
    Query,
    read_query,
)
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.dicom.errors import DicomError
from services.runtime.client import ServiceCallError, typed_errors

PENDING: Final = Status(0xFF00)
PENDING_IN_PART: Final = Status(0xFF01)
CANCELLED: Final = Status(0xFE00, "cancelled")
ARCHIVE_AWAY: Final = Status(0xA700, "the archive cannot be asked")
_UNABLE_TO_PROCESS: Final = 0xC000
_DOES_NOT_MATCH: Final = 0xA900
# Relational queries, combined date and time, fuzzy names, no time zones (PS3.4 C.5.1.1).
_OPTIONS: Final = bytes((1, 1, 1, 0))
_LEVELS: Final = {
    Level.PATIENT: pb.QUERY_LEVEL_PATIENT,
    Level.STUDY: pb.QUERY_LEVEL_STUDY,
    Level.SERIES: pb.QUERY_LEVEL_SERIES,
    Level.IMAGE: pb.QUERY_LEVEL_INSTANCE,
}


class FindService:
    """Answers C-FIND from the archive.

    Args:
        archive: The archive's service.
        registry: Tells who may be answered.
        ae_title: Our AE title, from which what is found can be retrieved.
    """

    operations: Mapping[str, frozenset[int]] = MappingProxyType(
        {model.find: frozenset({C_FIND_RQ}) for model in MODELS}
    )
    options: Mapping[str, bytes] = MappingProxyType({model.find: _OPTIONS for model in MODELS})

    def __init__(
        self, archive: pb_grpc.ArchiveServiceAsyncStub, registry: Registry, ae_title: str
    ) -> None:
        self._archive = archive
        self._registry = registry
        self._ae_title = ae_title

    async def serve(self, request: Request, responder: Responder) -> Reply:
        """See ``Provider``."""
        refused = await refusal(self._registry, request.source)
        if refused is not None:
            return Reply(refused)
        try:
            query = _read(request)
        except DicomError as error:
            return Reply(Status(_DOES_NOT_MATCH, f"{error.field}: {error.rule}"))
        except IdentifierError as error:
            return Reply(Status(_DOES_NOT_MATCH, error.rule))
        try:
            return await self._answer(query, request, responder)
        except ServiceCallError as error:
            if error.retryable:
                return Reply(ARCHIVE_AWAY)
            return Reply(Status(_UNABLE_TO_PROCESS, error.metadata.get("rule", "")))

    async def _answer(self, query: Query, request: Request, responder: Responder) -> Reply:
        status = PENDING if query.is_whole else PENDING_IN_PART
        asked = query_request(query, fuzzy_names=_option(request, FUZZY_NAMES))
        async with aclosing(self._rows(asked)) as rows:
            async for row in rows:
                if responder.is_cancelled:
                    return Reply(CANCELLED)
                values = self._values(query, row)
                data_set = encode_data_set(values, request.context.transfer_syntax)
                await responder.pending(Reply(status, data_set))
        return Reply(CANCELLED if responder.is_cancelled else SUCCESS)

    async def _rows(self, asked: pb.QueryRequest) -> AsyncGenerator[pb.QueryRow, None]:
        call = self._archive.Query(asked)
        try:
            with typed_errors():
                async for answer in call:
                    for row in answer.rows:
                        yield row
        finally:
            # Otherwise the archive goes on reading for a peer that is gone.
            call.cancel()

    def _values(self, query: Query, row: pb.QueryRow) -> dict[int, str]:
        values = {
            tag: attribute.value(row) if attribute is not None else ""
            for tag, attribute in query.wanted.items()
        }
        values[QUERY_RETRIEVE_LEVEL] = query.level.value
        values[RETRIEVE_AE_TITLE] = self._ae_title
        if INSTANCE_AVAILABILITY in query.wanted:
            values[INSTANCE_AVAILABILITY] = "ONLINE"
        return values


def query_request(query: Query, *, fuzzy_names: bool) -> pb.QueryRequest:
    """Return a query as a message."""
    return pb.QueryRequest(
        level=_LEVELS[query.level],
        matches=[attribute_match(keyword, asked) for keyword, asked in query.conditions.items()],
        fuzzy_names=fuzzy_names,
    )


def attribute_match(keyword: str, asked: Condition) -> pb.AttributeMatch:
    """Return one matching key as a message."""
    if isinstance(asked, Values):
        return pb.AttributeMatch(keyword=keyword, values=pb.ValueList(values=asked.values))
    if isinstance(asked, Range):
        between = pb.ValueRange(**{"from": asked.start, "to": asked.end})
        return pb.AttributeMatch(keyword=keyword, range=between)
    return pb.AttributeMatch(keyword=keyword, wildcard=asked.pattern)


def _read(request: Request) -> Query:
    identifier = decode_identifier(request.data_set, request.context.transfer_syntax)
    model = model_of(request.context.abstract_syntax)
    return read_query(identifier, model, relational=_option(request, RELATIONAL))


def _option(request: Request, place: int) -> bool:
    return request.context.options[place : place + 1] == b"\x01"

"""C-FIND as provider, for patients, studies, series and instances (PS3.4 C.4.1)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType
from typing import Final

from gateway.dimse.callers import Registry, refusal
from gateway.dimse.commands import C_FIND_RQ, Reply, Status
from gateway.dimse.service import Request, Responder
from gateway.query_retrieve.finding import answer_query, send_matches
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
    Query,
    read_query,
)
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.runtime.client import typed_errors

ARCHIVE_AWAY: Final = Status(0xA700, "the archive cannot be asked")
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
        return await answer_query(
            lambda: _read(request),
            lambda query: self._answer(query, request, responder),
            ARCHIVE_AWAY,
        )

    async def _answer(self, query: Query, request: Request, responder: Responder) -> Reply:
        asked = query_request(query, fuzzy_names=_option(request, FUZZY_NAMES))
        syntax = request.context.transfer_syntax
        return await send_matches(
            self._rows(asked),
            lambda row: encode_data_set(self._values(query, row), syntax),
            responder,
            is_whole=query.is_whole,
        )

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

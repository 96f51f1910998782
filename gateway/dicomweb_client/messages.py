"""DICOMweb exchanges as messages of their contract, and back."""

from __future__ import annotations

from typing import Final

from gateway.dicomweb_client.retrieve import Retrieved
from gateway.dicomweb_client.search import Search, SearchLevel
from gateway.dicomweb_client.verify import Counted
from gateway.peers.outcome import Sent, StoreOutcome
from gateway.scu.find import MAX_MATCHES
from gateway.scu.identifier import Key
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as pb
from services.runtime.errors import InvalidFieldError

_LEVELS: Final = {
    pb.SEARCH_LEVEL_STUDY: SearchLevel.STUDIES,
    pb.SEARCH_LEVEL_SERIES: SearchLevel.SERIES,
    pb.SEARCH_LEVEL_INSTANCE: SearchLevel.INSTANCES,
}
_OUTCOMES: Final = {
    StoreOutcome.STORED: pb.STORE_OUTCOME_STORED,
    StoreOutcome.WARNING: pb.STORE_OUTCOME_WARNING,
    StoreOutcome.REFUSED: pb.STORE_OUTCOME_REFUSED,
    StoreOutcome.NOT_SENT: pb.STORE_OUTCOME_NOT_SENT,
}


def search_from_proto(request: pb.SearchMatchesRequest) -> Search:
    """Return a search.

    Raises:
        InvalidFieldError: Field and rule that is broken.
    """
    level = _LEVELS.get(request.level)
    if level is None:
        raise InvalidFieldError("level", "study, series or instance")
    limit = request.limit or MAX_MATCHES
    if not 1 <= limit <= MAX_MATCHES:
        raise InvalidFieldError("limit", f"0 to {MAX_MATCHES}")
    wanted = Search(
        level=level,
        study_instance_uid=request.study_instance_uid,
        series_instance_uid=request.series_instance_uid,
        keys=tuple(Key(key.keyword, key.value) for key in request.keys),
        include_fields=tuple(request.include_fields),
        fuzzy_matching=request.fuzzy_matching,
        limit=limit,
    )
    wanted.path()
    wanted.parameters()
    return wanted


def sent_to_proto(sent: Sent) -> pb.StoredInstance:
    """Return what became of an instance as a message."""
    return pb.StoredInstance(
        sop_instance_uid=sent.sop_instance_uid,
        outcome=_OUTCOMES[sent.outcome],
        status=sent.status,
        reason=sent.reason,
    )


def counted_to_proto(counted: Counted) -> pb.CountOutcome:
    """Return what counting found as a message."""
    return pb.CountOutcome(verified=counted.whole, verified_count=counted.count, text=counted.text)


def retrieved_to_proto(retrieved: Retrieved) -> pb.RetrieveInstancesResponse:
    """Return how far a retrieval is as a message."""
    return pb.RetrieveInstancesResponse(
        stored_count=retrieved.stored,
        known_count=retrieved.known,
        failed_count=retrieved.failed,
        received_bytes=retrieved.received_bytes,
    )

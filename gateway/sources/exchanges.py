"""How peers are asked and fetched from: through the services that speak to peers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

from gateway.sources.polling import Fetched, series_uid
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2_grpc as web_grpc
from heimdallr.dimse.v1 import dimse_service_pb2 as dimse_pb
from heimdallr.dimse.v1 import dimse_service_pb2_grpc as dimse_grpc
from services.runtime.client import typed_errors


class WebExchange:
    """A peer that speaks DICOMweb.

    Args:
        stub: Who speaks to it.
        peer_id: The peer.
    """

    def __init__(self, stub: web_grpc.DicomWebClientServiceAsyncStub, peer_id: str) -> None:
        self._stub = stub
        self._peer_id = peer_id

    async def studies(
        self, first: date, last: date, modality: str
    ) -> AsyncIterator[tuple[list[str], bool]]:
        """See ``Exchange``."""
        keys = [web_pb.SearchKey(keyword="StudyDate", value=_range(first, last))]
        if modality:
            keys.append(web_pb.SearchKey(keyword="ModalitiesInStudy", value=modality))
        request = web_pb.SearchMatchesRequest(
            peer_id=self._peer_id,
            level=web_pb.SEARCH_LEVEL_STUDY,
            keys=keys,
            include_fields=["NumberOfStudyRelatedInstances"],
        )
        with typed_errors():
            async for batch in self._stub.SearchMatches(request):
                yield list(batch.matches), batch.truncated

    async def instances(self, study_instance_uid: str) -> AsyncIterator[list[str]]:
        """See ``Exchange``."""
        request = web_pb.SearchMatchesRequest(
            peer_id=self._peer_id,
            level=web_pb.SEARCH_LEVEL_INSTANCE,
            study_instance_uid=study_instance_uid,
        )
        with typed_errors():
            async for batch in self._stub.SearchMatches(request):
                yield list(batch.matches)

    async def fetch(self, study_instance_uid: str) -> Fetched:
        """See ``Exchange``."""
        request = web_pb.RetrieveInstancesRequest(
            peer_id=self._peer_id, study_instance_uid=study_instance_uid
        )
        fetched = Fetched()
        with typed_errors():
            async for told in self._stub.RetrieveInstances(request):
                fetched = Fetched(told.stored_count, told.known_count, told.failed_count)
        return fetched


class DimseExchange:
    """A peer that speaks DIMSE.

    Args:
        stub: Who speaks to it.
        peer_id: The peer.
        use_get: Whether C-GET fetches; otherwise C-MOVE to us.
    """

    def __init__(
        self, stub: dimse_grpc.DimseServiceAsyncStub, peer_id: str, *, use_get: bool
    ) -> None:
        self._stub = stub
        self._peer_id = peer_id
        self._use_get = use_get

    async def studies(
        self, first: date, last: date, modality: str
    ) -> AsyncIterator[tuple[list[str], bool]]:
        """See ``Exchange``."""
        keys = [
            dimse_pb.Key(keyword="StudyDate", value=_range(first, last)),
            dimse_pb.Key(keyword="ModalitiesInStudy", value=modality),
            dimse_pb.Key(keyword="NumberOfStudyRelatedInstances"),
        ]
        request = dimse_pb.FindMatchesRequest(
            peer_id=self._peer_id, level=dimse_pb.QUERY_LEVEL_STUDY, keys=keys
        )
        with typed_errors():
            async for batch in self._stub.FindMatches(request):
                yield list(batch.matches), batch.truncated

    async def instances(self, study_instance_uid: str) -> AsyncIterator[list[str]]:
        """See ``Exchange``. Series by series: C-FIND is hierarchical (PS3.4 C.4.1.3.1.1)."""
        study = dimse_pb.Key(keyword="StudyInstanceUID", value=study_instance_uid)
        series_request = dimse_pb.FindMatchesRequest(
            peer_id=self._peer_id, level=dimse_pb.QUERY_LEVEL_SERIES, keys=[study]
        )
        with typed_errors():
            async for batch in self._stub.FindMatches(series_request):
                for match in batch.matches:
                    series = dimse_pb.Key(keyword="SeriesInstanceUID", value=series_uid(match))
                    request = dimse_pb.FindMatchesRequest(
                        peer_id=self._peer_id,
                        level=dimse_pb.QUERY_LEVEL_IMAGE,
                        keys=[study, series],
                    )
                    async for images in self._stub.FindMatches(request):
                        yield list(images.matches)

    async def fetch(self, study_instance_uid: str) -> Fetched:
        """See ``Exchange``."""
        keys = dimse_pb.RetrieveKeys(
            level=dimse_pb.QUERY_LEVEL_STUDY, study_instance_uids=[study_instance_uid]
        )
        fetched = Fetched()
        with typed_errors():
            if self._use_get:
                get = dimse_pb.GetInstancesRequest(peer_id=self._peer_id, keys=keys)
                async for got in self._stub.GetInstances(get):
                    fetched = Fetched(got.stored_count, got.known_count, got.failed_count)
                return fetched
            move = dimse_pb.MoveInstancesRequest(peer_id=self._peer_id, keys=keys)
            async for moved in self._stub.MoveInstances(move):
                sent = moved.completed_count + moved.warning_count
                fetched = Fetched(stored=sent, failed=moved.failed_count)
        return fetched


def _range(first: date, last: date) -> str:
    return f"{first:%Y%m%d}-{last:%Y%m%d}"

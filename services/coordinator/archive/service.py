"""gRPC adapter of the archive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, Protocol

import grpc

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.coordinator.archive.content import blob_chunks
from services.coordinator.archive.errors import (
    InstanceNotFoundError,
    SeriesNotFoundError,
    StudyNotFoundError,
)
from services.coordinator.archive.finder import Finder
from services.coordinator.archive.locator import Locator
from services.coordinator.archive.messages import (
    filter_from_proto,
    instance_to_proto,
    page_size,
    series_to_proto,
    study_to_proto,
)
from services.coordinator.archive.page_token import (
    instance_key,
    instance_token,
    scope_of,
    study_key,
    study_token,
)
from services.coordinator.archive.patient_messages import (
    history_to_proto,
    identity_from_proto,
    merge_to_proto,
    reason_from_proto,
)
from services.coordinator.archive.query_messages import (
    located_to_proto,
    query_from_proto,
    rows_to_proto,
    wanted_from_proto,
)
from services.coordinator.archive.store import ArchiveStore
from services.coordinator.archive.study import InstanceKey, StudyKey, StudyRecord
from services.dicom.uids import valid_uid
from services.runtime.blob_ref import BlobRef
from services.runtime.blobs import BlobStore
from services.runtime.errors import BlobNotFoundError, InvalidFieldError
from services.runtime.ids import is_id
from services.runtime.tokens import current_caller

_SHA256_LENGTH: Final = 64

StudiesContext = grpc.aio.ServicerContext[pb.ListStudiesRequest, pb.ListStudiesResponse]
StudyContext = grpc.aio.ServicerContext[pb.GetStudyRequest, pb.GetStudyResponse]
InstancesContext = grpc.aio.ServicerContext[pb.ListInstancesRequest, pb.ListInstancesResponse]
InstanceContext = grpc.aio.ServicerContext[pb.FetchInstanceRequest, pb.FetchInstanceResponse]
PatientContext = grpc.aio.ServicerContext[pb.GetPatientRequest, pb.GetPatientResponse]
MergeContext = grpc.aio.ServicerContext[pb.MergePatientsRequest, pb.MergePatientsResponse]
UnmergeContext = grpc.aio.ServicerContext[pb.UnmergePatientsRequest, pb.UnmergePatientsResponse]
QueryContext = grpc.aio.ServicerContext[pb.QueryRequest, pb.QueryResponse]
LocateContext = grpc.aio.ServicerContext[pb.LocateInstancesRequest, pb.LocateInstancesResponse]
ResultContext = grpc.aio.ServicerContext[pb.FetchResultRequest, pb.FetchResultResponse]


class ResultBlobs(Protocol):
    """Knows which blobs belong to results of a study."""

    async def results_blob_belongs(self, study_id: str, sha256: str) -> BlobRef | None:
        """Return the blob when it belongs to a result of the study."""
        ...


class ArchiveService(pb_grpc.ArchiveServiceServicer):
    """Serves ``heimdallr.archive.v1.ArchiveService``."""

    def __init__(self, store: ArchiveStore, blobs: BlobStore, results: ResultBlobs) -> None:
        self._store = store
        self._blobs = blobs
        self._results = results
        self._finder = Finder(store.searches)
        self._locator = Locator(store.searches)

    async def ListStudies(
        self, request: pb.ListStudiesRequest, context: StudiesContext
    ) -> pb.ListStudiesResponse:
        """See ``archive_service.proto``."""
        wanted = filter_from_proto(request)
        size = page_size(request.page_size, default=50, most=500)
        scope = scope_of("studies", wanted)
        after = None
        if request.page_token:
            after = study_key(request.page_token, scope, wanted.order)
        studies = await self._store.search(wanted, size + 1, after)
        token = ""
        if len(studies) > size:
            token = study_token(StudyKey.of(studies[size - 1], wanted.order), scope)
        return pb.ListStudiesResponse(
            studies=[study_to_proto(study) for study in studies[:size]], next_page_token=token
        )

    async def GetStudy(
        self, request: pb.GetStudyRequest, context: StudyContext
    ) -> pb.GetStudyResponse:
        """See ``archive_service.proto``."""
        study = await self._named_study(request)
        series = await self._store.series_records(study.study_id)
        return pb.GetStudyResponse(
            study=study_to_proto(study), series=[series_to_proto(one) for one in series]
        )

    async def ListInstances(
        self, request: pb.ListInstancesRequest, context: InstancesContext
    ) -> pb.ListInstancesResponse:
        """See ``archive_service.proto``."""
        series_id = _our_id("series_id", request.series_id)
        size = page_size(request.page_size, default=100, most=1000)
        scope = scope_of("instances", series_id)
        after = instance_key(request.page_token, scope) if request.page_token else None
        found = await self._store.instance_page(series_id, size + 1, after)
        if found is None:
            raise SeriesNotFoundError(series_id)
        token = ""
        if len(found) > size:
            last = found[size - 1]
            token = instance_token(InstanceKey(last.instance_number, last.instance_id), scope)
        return pb.ListInstancesResponse(
            instances=[instance_to_proto(one) for one in found[:size]], next_page_token=token
        )

    async def FetchInstance(
        self, request: pb.FetchInstanceRequest, context: InstanceContext
    ) -> AsyncIterator[pb.FetchInstanceResponse]:
        """See ``archive_service.proto``."""
        instance = await self._store.instance_record(_our_id("instance_id", request.instance_id))
        if instance is None:
            raise InstanceNotFoundError(request.instance_id)
        if not 0 <= request.offset <= instance.blob.size_bytes:
            raise InvalidFieldError("offset", "zero to the number of bytes")
        async with aclosing(blob_chunks(self._blobs, instance.blob, request.offset)) as chunks:
            async for data in chunks:
                yield pb.FetchInstanceResponse(data=data)

    async def FetchResult(
        self, request: pb.FetchResultRequest, context: ResultContext
    ) -> AsyncIterator[pb.FetchResultResponse]:
        """See ``archive_service.proto``."""
        study_id = _our_id("study_id", request.study_id)
        sha256 = request.sha256
        if len(sha256) != _SHA256_LENGTH or set(sha256) - set("0123456789abcdef"):
            raise InvalidFieldError("sha256", "64 lower-case hexadecimal digits")
        if await self._store.study_record(study_id) is None:
            raise StudyNotFoundError(study_id)
        blob = await self._results.results_blob_belongs(study_id, sha256)
        if blob is None:
            raise BlobNotFoundError(sha256)
        async with aclosing(blob_chunks(self._blobs, blob, 0)) as chunks:
            async for data in chunks:
                yield pb.FetchResultResponse(data=data)

    async def Query(
        self, request: pb.QueryRequest, context: QueryContext
    ) -> AsyncIterator[pb.QueryResponse]:
        """See ``archive_service.proto``."""
        async with aclosing(self._finder.find(query_from_proto(request))) as batches:
            async for rows in batches:
                yield rows_to_proto(rows)

    async def LocateInstances(
        self, request: pb.LocateInstancesRequest, context: LocateContext
    ) -> AsyncIterator[pb.LocateInstancesResponse]:
        """See ``archive_service.proto``."""
        async with aclosing(self._locator.locate(wanted_from_proto(request))) as batches:
            async for located in batches:
                yield located_to_proto(located)

    async def GetPatient(
        self, request: pb.GetPatientRequest, context: PatientContext
    ) -> pb.GetPatientResponse:
        """See ``archive_service.proto``."""
        kind = request.WhichOneof("patient")
        if kind == "patient_key":
            key = _our_id("patient_key", request.patient_key)
            return history_to_proto(await self._store.patients.history(key))
        patient_id, issuer = identity_from_proto(request.identity)
        history = await self._store.patients.history_of_identity(patient_id, issuer)
        return history_to_proto(history)

    async def MergePatients(
        self, request: pb.MergePatientsRequest, context: MergeContext
    ) -> pb.MergePatientsResponse:
        """See ``archive_service.proto``."""
        merged = _our_id("merged_key", request.merged_key)
        surviving = _our_id("surviving_key", request.surviving_key)
        reason = reason_from_proto(request.reason)
        subject = current_caller().subject
        merge = await self._store.patients.merge(merged, surviving, reason, subject)
        return pb.MergePatientsResponse(merge=merge_to_proto(merge))

    async def UnmergePatients(
        self, request: pb.UnmergePatientsRequest, context: UnmergeContext
    ) -> pb.UnmergePatientsResponse:
        """See ``archive_service.proto``."""
        merged = _our_id("merged_key", request.merged_key)
        merge = await self._store.patients.unmerge(merged, current_caller().subject)
        undone = None if merge is None else merge_to_proto(merge)
        return pb.UnmergePatientsResponse(merge=undone)

    async def _named_study(self, request: pb.GetStudyRequest) -> StudyRecord:
        kind = request.WhichOneof("study")
        if kind is None:
            raise InvalidFieldError("study", "study_id or study_instance_uid must be set")
        if kind == "study_id":
            study = await self._store.study_record(_our_id("study_id", request.study_id))
        elif valid_uid(request.study_instance_uid):
            study = await self._store.study_record_by_uid(request.study_instance_uid)
        else:
            raise InvalidFieldError("study_instance_uid", "a UID (PS3.5 section 9.1)")
        if study is None:
            raise StudyNotFoundError(request.study_id)
        return study


def _our_id(field: str, text: str) -> str:
    if not is_id(text):
        raise InvalidFieldError(field, "one of our ids")
    return text

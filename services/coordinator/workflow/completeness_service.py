"""gRPC adapter of completeness: translates messages, decides nothing."""

from __future__ import annotations

import re
from typing import Any, Final

import grpc

from heimdallr.workflow.v1 import completeness_service_pb2 as pb
from heimdallr.workflow.v1 import completeness_service_pb2_grpc as pb_grpc
from services.coordinator.archive.errors import StudyNotFoundError
from services.coordinator.workflow.completeness_loop import CompletenessLoop
from services.coordinator.workflow.manifests import Manifest, Manifests
from services.coordinator.workflow.messages import EVIDENCES, announcement_to_proto
from services.dicom.uids import valid_uid
from services.runtime.errors import InvalidFieldError, PermissionDeniedError
from services.runtime.ids import is_id
from services.runtime.tokens import CallerKind, current_caller

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_MOST_SERIES: Final = 1000
_MOST_INSTANCES: Final = 20_000
_MOST_OF_A_SERIES: Final = 10_000_000
_LONGEST_SOURCE: Final = 64
_OWNER: Final = "operator"
"""The owner of the data folder at the command line is a person, under the token of a service."""

Context = grpc.aio.ServicerContext[Any, Any]


class CompletenessService(pb_grpc.CompletenessServiceServicer):
    """Serves ``heimdallr.workflow.v1.CompletenessService``.

    Args:
        manifests: Keeps what is said of studies.
        loop: Calls studies complete.
    """

    def __init__(self, manifests: Manifests, loop: CompletenessLoop) -> None:
        self._manifests = manifests
        self._loop = loop

    async def DeclareManifest(
        self, request: pb.DeclareManifestRequest, context: Context
    ) -> pb.DeclareManifestResponse:
        """See ``completeness_service.proto``."""
        manifest = _manifest(request)
        study = await self._manifests.declare(manifest)
        if study is not None:
            return pb.DeclareManifestResponse(announcement=announcement_to_proto(study))
        announced = sum(manifest.counts.values()) + sum(map(len, manifest.instances.values()))
        return pb.DeclareManifestResponse(announcement=pb.Announcement(announced_count=announced))

    async def ConfirmCount(
        self, request: pb.ConfirmCountRequest, context: Context
    ) -> pb.ConfirmCountResponse:
        """See ``completeness_service.proto``."""
        _check_uid("study_instance_uid", request.study_instance_uid)
        source = request.source
        if not 1 <= len(source) <= _LONGEST_SOURCE or not source.isprintable():
            raise InvalidFieldError("source", f"1 to {_LONGEST_SOURCE} characters")
        _check_count("instance_count", request.instance_count)
        study = await self._manifests.confirm(
            request.study_instance_uid, source, request.instance_count
        )
        count = 0 if study is None else study.arrival.instance_count
        return pb.ConfirmCountResponse(instance_count=count)

    async def CompleteStudy(
        self, request: pb.CompleteStudyRequest, context: Context
    ) -> pb.CompleteStudyResponse:
        """See ``completeness_service.proto``."""
        caller = current_caller()
        if caller.kind is not CallerKind.PERSON and caller.subject != _OWNER:
            raise PermissionDeniedError("completeness_write")
        if not is_id(request.study_id):
            raise StudyNotFoundError("")
        evidence, generation = await self._loop.complete(request.study_id)
        response = pb.CompleteStudyResponse(generation=generation)
        if evidence is not None:
            response.evidence = EVIDENCES[evidence]
        return response


def _manifest(request: pb.DeclareManifestRequest) -> Manifest:
    _check_uid("study_instance_uid", request.study_instance_uid)
    if not _NAME.fullmatch(request.name):
        raise InvalidFieldError("name", "1 to 64 letters, digits, dots, dashes or underscores")
    uids = [series.series_instance_uid for series in request.series]
    if not 1 <= len(uids) <= _MOST_SERIES or len(set(uids)) != len(uids):
        raise InvalidFieldError("series", f"1 to {_MOST_SERIES}, each once")
    if sum(len(series.sop_instance_uids) for series in request.series) > _MOST_INSTANCES:
        raise InvalidFieldError("series.sop_instance_uids", f"at most {_MOST_INSTANCES} in all")
    for series in request.series:
        _check_series(series)
    return Manifest(
        request.study_instance_uid,
        f"sender:{request.name}",
        instances={
            series.series_instance_uid: list(series.sop_instance_uids)
            for series in request.series
            if series.sop_instance_uids
        },
        counts={
            series.series_instance_uid: series.instance_count
            for series in request.series
            if not series.sop_instance_uids
        },
    )


def _check_series(series: pb.AnnouncedSeries) -> None:
    _check_uid("series.series_instance_uid", series.series_instance_uid)
    for uid in series.sop_instance_uids:
        _check_uid("series.sop_instance_uids", uid)
    if not series.sop_instance_uids:
        _check_count("series.instance_count", series.instance_count)
    elif series.instance_count:
        raise InvalidFieldError("series.instance_count", "zero when instances are named")


def _check_uid(field: str, text: str) -> None:
    if not valid_uid(text):
        raise InvalidFieldError(field, "a UID (PS3.5 section 9.1)")


def _check_count(field: str, count: int) -> None:
    if not 1 <= count <= _MOST_OF_A_SERIES:
        raise InvalidFieldError(field, f"1 to {_MOST_OF_A_SERIES}")

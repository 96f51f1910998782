"""Calls that several commands make about one study."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import grpc
import typer

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.imaging.v1.measurement_pb2 import Measurement
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.runtime.client import typed_errors
from services.runtime.ids import is_id


def _require_name(name: str) -> str:
    if not name.strip():
        raise typer.BadParameter("a Study Instance UID, or our study id")
    return name.strip()


StudyArgument = Annotated[
    str, typer.Argument(help="Study Instance UID, or our study id.", callback=_require_name)
]


async def get_study(channel: grpc.aio.Channel, name: str) -> archive_pb.GetStudyResponse:
    """Return a study by our id or by its Study Instance UID.

    Raises:
        ServiceCallError: It is unknown, or the call failed.
    """
    request = archive_pb.GetStudyRequest()
    if is_id(name):
        request.study_id = name
    else:
        request.study_instance_uid = name
    with typed_errors():
        return await ArchiveServiceStub(channel).GetStudy(request)


async def save_result(channel: grpc.aio.Channel, study_id: str, blob: BlobRef, path: Path) -> None:
    """Write a result blob of a study to a file.

    Raises:
        OSError: It cannot be written; names ``path``.
    """
    request = archive_pb.FetchResultRequest(study_id=study_id, sha256=blob.sha256)
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            async for chunk in ArchiveServiceStub(channel).FetchResult(request):
                file.write(chunk.data)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None


def measurements(results: workflow_pb.GetStudyResultsResponse) -> list[Measurement]:
    """Return every measurement of a study's results, in order."""
    return [
        measurement
        for series in results.series
        for analysis in series.analyses
        for measurement in analysis.measurements
    ]

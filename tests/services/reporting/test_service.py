"""The reporting servicer, called through a real channel with the real typesetter."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pypdf
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.imaging.v1 import blob_ref_pb2
from heimdallr.reporting.v1 import reporting_service_pb2_grpc as pb_grpc
from services.reporting.service import ReportingService
from services.reporting.settings import ReportingSettings
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.client import error_info
from services.runtime.local_blobs import LocalBlobs
from tests.services.reporting.requests import full_request, key_picture
from tests.support.mesh import running_server


@dataclass
class Reporting:
    """The service under test and its blobs."""

    stub: pb_grpc.ReportingServiceAsyncStub
    blobs: LocalBlobs


@pytest.fixture
async def reporting(tmp_path: Path) -> AsyncIterator[Reporting]:
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    service = ReportingService(blobs, ReportingSettings())

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_ReportingServiceServicer_to_server(service, server)

    async with running_server(tmp_path, add) as server:
        channel = server.channel(Permission.PERMISSION_REPORTING_RUN)
        yield Reporting(pb_grpc.ReportingServiceStub(channel), blobs)


async def test_a_report_is_a_structured_result_and_a_pdf(reporting: Reporting) -> None:
    picture = blob_to_proto(await reporting.blobs.put_bytes(key_picture(), "image/png"))

    first = await reporting.stub.ComposeReport(full_request(picture))
    second = await reporting.stub.ComposeReport(full_request(picture))

    assert (first.structured, first.pdf) == (second.structured, second.pdf)
    assert (first.structured.media_type, first.pdf.media_type) == (
        "application/json",
        "application/pdf",
    )
    structured = json.loads(await reporting.blobs.read(blob_from_proto(first.structured)))
    assert (
        structured["series"][0]["analyses"][0]["overlays"][0]["image"]["sha256"] == picture.sha256
    )
    pdf = await reporting.blobs.read(blob_from_proto(first.pdf))
    assert len(pypdf.PdfReader(io.BytesIO(pdf)).pages) >= 1
    assert first.provenance.service == "reporting"
    assert first.provenance.tool == "typst"
    assert list(first.provenance.input_sha256) == ["12" * 32, "34" * 32]


async def test_a_missing_picture_is_not_found(reporting: Reporting) -> None:
    missing = blob_ref_pb2.BlobRef(sha256="0" * 64, size_bytes=5, media_type="image/png")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reporting.stub.ComposeReport(full_request(missing))

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(caught.value) == "ERROR_REASON_BLOB_NOT_FOUND"


async def test_a_picture_that_is_none_fails_with_a_reason(reporting: Reporting) -> None:
    rubbish = blob_to_proto(await reporting.blobs.put_bytes(b"no picture", "image/png"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reporting.stub.ComposeReport(full_request(rubbish))

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert reason(caught.value) == "ERROR_REASON_REPORT_FAILED"


async def test_a_request_without_a_subject_is_rejected(reporting: Reporting) -> None:
    request = full_request()
    request.ClearField("subject")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reporting.stub.ComposeReport(request)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def reason(error: grpc.aio.AioRpcError) -> str:
    info = error_info(error)
    assert info is not None
    return str(info.reason)

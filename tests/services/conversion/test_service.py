"""The conversion servicer, called through a real channel with the real tool."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dcm2niix  # type: ignore[import-untyped]
import grpc
import pydicom
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image
from pydicom.data import get_testdata_file

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as pb_grpc
from heimdallr.imaging.v1 import blob_ref_pb2, volume_pb2
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.conversion.service import ConversionService
from services.conversion.settings import ConversionSettings
from services.dicom.phantoms.series import PhantomStudy, phantom_study
from services.runtime.blob_messages import blob_from_proto
from services.runtime.client import MeshChannel, error_info
from services.runtime.local_blobs import LocalBlobs
from services.runtime.workspaces import Workspaces
from tests.services.conversion.series_files import series_messages
from tests.support.mesh import running_server

CANARY = PhantomStudy(study_key="canary", patient_name="CANARY^NAME", patient_id="CANARY-ID")


@dataclass
class Conversion:
    """The service under test, its blobs and its temporary files."""

    stub: pb_grpc.ConversionServiceAsyncStub
    channel: MeshChannel
    blobs: LocalBlobs
    work: Path

    def left(self) -> list[Path]:
        """Files and folders of calls that are still there."""
        return [path for path in self.work.glob("*/*") if path.name != "lock"]

    async def read(self, ref: blob_ref_pb2.BlobRef) -> bytes:
        return await self.blobs.read(blob_from_proto(ref))


@pytest.fixture
async def conversion(tmp_path: Path) -> AsyncIterator[Conversion]:
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    settings = ConversionSettings(work_folder=tmp_path / "work")
    workspaces = Workspaces(settings.work_folder)
    service = ConversionService(blobs, workspaces, settings)

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_ConversionServiceServicer_to_server(service, server)

    async with running_server(tmp_path, add) as server:
        channel = server.channel(Permission.PERMISSION_CONVERSION_RUN)
        stub = pb_grpc.ConversionServiceStub(channel)
        yield Conversion(stub, channel, blobs, settings.work_folder)
    await service.close()
    workspaces.close()


async def phantom(conversion: Conversion) -> list[pb.SeriesInstance]:
    files = phantom_study(5, CANARY, shape=(24, 64, 64))
    return await series_messages(conversion.blobs, files)


async def test_a_series_becomes_a_volume_with_previews(conversion: Conversion) -> None:
    request = pb.ConvertSeriesRequest(instances=await phantom(conversion))

    events = [event async for event in conversion.stub.ConvertSeries(request)]

    outcome = events[-1].conversion
    assert outcome.volume.modality == "CT"
    assert outcome.volume.hounsfield
    assert list(outcome.volume.shape) == [64, 64, 24]
    assert list(outcome.volume.spacing_mm) == pytest.approx([6, 6, 15])
    assert len(outcome.volume.affine_ras_mm) == 16
    assert outcome.volume.plane == volume_pb2.PLANE_AXIAL
    assert outcome.volume.provenance.tool == "dcm2niix"
    assert outcome.volume.provenance.tool_version == "1.0.20260724"
    assert list(outcome.volume.provenance.input_sha256) == [
        instance.blob.sha256 for instance in request.instances
    ]
    assert gzip.decompress(await conversion.read(outcome.volume.nifti))[344:347] == b"n+1"
    assert [preview.kind for preview in outcome.previews] == ["axial", "coronal", "sagittal"]
    for preview in outcome.previews:
        assert Image.open(io.BytesIO(await conversion.read(preview.image))).format == "PNG"
        assert preview.alternative_text
    assert conversion.left() == []


async def test_progress_never_goes_back_and_comes_before_the_outcome(
    conversion: Conversion,
) -> None:
    request = pb.ConvertSeriesRequest(instances=await phantom(conversion))

    events = [event async for event in conversion.stub.ConvertSeries(request)]

    shares = [event.progress.fraction for event in events[:-1]]
    assert all(event.HasField("progress") for event in events[:-1])
    assert shares == sorted(shares)
    assert len(shares) >= 4


async def test_a_series_that_is_no_volume_ends_with_a_refusal(conversion: Conversion) -> None:
    instances = await phantom(conversion)
    del instances[10]

    events = [
        event
        async for event in conversion.stub.ConvertSeries(
            pb.ConvertSeriesRequest(instances=instances)
        )
    ]

    assert events[-1].refusal.code == "MISSING_SLICES"
    assert conversion.left() == []


async def test_geometry_that_the_index_lacks_is_read_from_the_files(
    conversion: Conversion,
) -> None:
    instances = await phantom(conversion)
    for instance in instances:
        del instance.attributes.image_position_mm[:]

    events = [
        event
        async for event in conversion.stub.ConvertSeries(
            pb.ConvertSeriesRequest(instances=instances)
        )
    ]

    assert events[-1].HasField("conversion")


async def test_a_missing_blob_is_not_found(conversion: Conversion) -> None:
    instances = await phantom(conversion)
    instances[3].blob.sha256 = "0" * 64

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(conversion, instances)

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(caught.value) == "ERROR_REASON_BLOB_NOT_FOUND"
    assert conversion.left() == []


async def test_a_corrupt_blob_is_data_loss(conversion: Conversion) -> None:
    instances = await phantom(conversion)
    path = conversion.blobs.local_path(blob_from_proto(instances[3].blob))
    assert path is not None
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(conversion, instances)

    assert caught.value.code() is grpc.StatusCode.DATA_LOSS
    assert reason(caught.value) == "ERROR_REASON_BLOB_CORRUPT"


@pytest.mark.parametrize("case", ["none", "two series", "bad hash"])
async def test_a_request_that_breaks_its_rules_is_rejected(
    conversion: Conversion, case: str
) -> None:
    instances = [] if case == "none" else (await phantom(conversion))[:4]
    if case == "two series":
        instances[0].attributes.series_instance_uid = "1.2.3"
    if case == "bad hash":
        instances[0].blob.sha256 = "../../etc/passwd"

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(conversion, instances)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(caught.value) == "ERROR_REASON_INVALID_FIELD"


async def test_cancelling_kills_the_tool_and_health_answers_meanwhile(
    conversion: Conversion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow, pid_file = tmp_path / "slow", tmp_path / "pid"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid_file}\nwhile :; do :; done\n")
    slow.chmod(0o700)
    monkeypatch.setattr(dcm2niix, "bin", str(slow))
    call = conversion.stub.ConvertSeries(
        pb.ConvertSeriesRequest(instances=await phantom(conversion))
    )
    async for event in call:
        if event.progress.activity == "Converting":
            break
    for _ in range(500):
        if pid_file.exists() and pid_file.read_text().strip():
            break
        await asyncio.sleep(0.02)

    health_stub: Any = health_pb2_grpc.HealthStub(conversion.channel)
    health = await health_stub.Check(health_pb2.HealthCheckRequest())
    call.cancel()

    assert health.status == health_pb2.HealthCheckResponse.SERVING
    process = Path(f"/proc/{pid_file.read_text().strip()}")
    for _ in range(200):
        if not process.exists() and conversion.left() == []:
            break
        await asyncio.sleep(0.05)
    assert not process.exists()
    assert conversion.left() == []


async def test_a_tool_that_fails_is_a_typed_error_without_its_words(
    conversion: Conversion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho CANARY^NAME\nexit 7\n")
    broken.chmod(0o700)
    monkeypatch.setattr(dcm2niix, "bin", str(broken))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(conversion, await phantom(conversion))

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert reason(caught.value) == "ERROR_REASON_TOOL_FAILED"
    assert "CANARY" not in str(caught.value)


async def test_a_series_is_described_by_its_headers_and_a_thumbnail(
    conversion: Conversion,
) -> None:
    request = pb.DescribeSeriesRequest(instances=await phantom(conversion))

    first = await conversion.stub.DescribeSeries(request)
    second = await conversion.stub.DescribeSeries(request)

    objects = json.loads(gzip.decompress(await conversion.read(first.metadata)))
    assert [o["00080018"]["Value"][0] for o in objects] == [
        instance.attributes.sop_instance_uid for instance in request.instances
    ]
    assert objects[0]["00100010"]["Value"][0]["Alphabetic"] == "CANARY^NAME"
    assert set(objects[0].get("7FE00010", {})) <= {"vr", "BulkDataURI"}
    assert first.thumbnail.kind == "thumbnail"
    assert Image.open(io.BytesIO(await conversion.read(first.thumbnail.image))).size[0] <= 256
    assert not first.HasField("thumbnail_refusal")
    assert (first.metadata, first.thumbnail) == (second.metadata, second.thumbnail)
    assert conversion.left() == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("test-SR.dcm", "NO_PIXELS"),
        ("rtplan.dcm", "NO_PIXELS"),
        ("JPEG-lossy.dcm", "CANNOT_DECODE"),
        ("JPEG2000.dcm", None),
        ("JPGExtended.dcm", "CANNOT_DECODE"),
        ("MR_small_RLE.dcm", None),
        ("MR_small_jpeg_ls_lossless.dcm", None),
        ("examples_palette.dcm", None),
        ("examples_ybr_color.dcm", None),
        ("SC_rgb_jpeg_dcmtk.dcm", None),
        ("rtdose.dcm", None),
        ("liver_1frame.dcm", None),
    ],
)
async def test_any_object_is_described_with_a_picture_or_a_reason(
    conversion: Conversion, name: str, code: str | None
) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    instances = await series_messages(conversion.blobs, [Path(path).read_bytes()])

    reply = await conversion.stub.DescribeSeries(pb.DescribeSeriesRequest(instances=instances))

    assert len(json.loads(gzip.decompress(await conversion.read(reply.metadata)))) == 1
    assert reply.HasField("thumbnail") is (code is None)
    assert reply.thumbnail_refusal.code == (code or "")
    if code:
        assert reply.thumbnail_refusal.text.endswith(".")


async def test_an_image_of_absurd_size_is_refused_before_it_is_allocated(
    conversion: Conversion,
) -> None:
    image = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    image.Rows = image.Columns = 65535
    file = io.BytesIO()
    image.save_as(file)
    instances = await series_messages(conversion.blobs, [file.getvalue()])

    reply = await conversion.stub.DescribeSeries(pb.DescribeSeriesRequest(instances=instances))

    assert reply.thumbnail_refusal.code == "IMAGE_TOO_LARGE"


async def test_selection_ranks_every_candidate(conversion: Conversion) -> None:
    ct = InstanceAttributes(
        modality="CT",
        image_type="ORIGINAL\\PRIMARY\\AXIAL",
        image_position_mm=[0, 0, 0],
        image_orientation=[1, 0, 0, 0, 1, 0],
        pixel_spacing_mm=[1, 1],
        convolution_kernel="B30f",
    )
    request = pb.SelectSeriesRequest(
        candidates=[
            pb.SeriesCandidate(
                series_id="sr", instance_count=1, attributes=InstanceAttributes(modality="SR")
            ),
            pb.SeriesCandidate(series_id="ct", instance_count=100, attributes=ct),
        ]
    )

    reply = await conversion.stub.SelectSeries(request)

    assert [(s.series_id, s.selected) for s in reply.scores] == [("ct", True), ("sr", False)]
    assert reply.scores[0].score == sum(r.points for r in reply.scores[0].reasons)
    assert reply.scores[1].refusal.code == "NOT_AN_IMAGE"


async def drain(conversion: Conversion, instances: list[pb.SeriesInstance]) -> None:
    async for _ in conversion.stub.ConvertSeries(pb.ConvertSeriesRequest(instances=instances)):
        pass


def reason(error: grpc.aio.AioRpcError) -> str:
    info = error_info(error)
    assert info is not None
    return str(info.reason)

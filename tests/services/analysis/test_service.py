"""The analysis servicer, called through a real channel, with a real Triton behind it."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import nibabel as untyped_nibabel
import numpy as np
import pytest
from PIL import Image

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.analysis.v1 import analysis_service_pb2 as pb
from heimdallr.analysis.v1 import analysis_service_pb2_grpc as pb_grpc
from heimdallr.imaging.v1 import measurement_pb2, volume_pb2
from services.analysis.analyzer import Limits, TissueAnalyzer
from services.analysis.model_repository import ct_tissue_card
from services.analysis.service import AnalysisService
from services.analysis.shared_memory import DEFAULT_PREFIX, FOLDER
from services.analysis.triton import TritonClient
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.blobs import BlobStore, open_blobs
from services.runtime.client import ServiceCallError, typed_errors
from tests.services.analysis.volumes import packed_volume
from tests.support.mesh import running_server
from tests.support.triton import RunningTriton, free_ports, stub_pids

nibabel: Any = untyped_nibabel

pytestmark = pytest.mark.triton

REPOSITORY = Path(__file__).parents[3] / "triton_models"
LIMITS = Limits(nifti_bytes=1 << 26, voxels=1 << 24, concurrency=2, timeout_s=60.0)
PHANTOM = ChestCtPhantom(shape=(60, 128, 128))


@dataclass
class Mesh:
    stub: pb_grpc.AnalysisServiceAsyncStub
    blobs: BlobStore

    async def volume(self, phantom: ChestCtPhantom = PHANTOM, **changes: Any) -> volume_pb2.Volume:
        data = packed_volume(phantom.volume_hu(), phantom.voxel_spacing_mm)
        ref = await self.blobs.put_bytes(data, "application/gzip")
        values: dict[str, Any] = {
            "nifti": blob_to_proto(ref),
            "modality": "CT",
            "hounsfield": True,
            "plane": volume_pb2.PLANE_AXIAL,
        }
        return volume_pb2.Volume(**(values | changes))

    async def analyze(
        self, volume: volume_pb2.Volume, model: str = "ct_tissue"
    ) -> list[pb.AnalyzeVolumeResponse]:
        request = pb.AnalyzeVolumeRequest(model=model, volume=volume)
        with typed_errors():
            return [message async for message in self.stub.AnalyzeVolume(request)]


@asynccontextmanager
async def serving(triton: TritonClient, folder: Path) -> AsyncIterator[Mesh]:
    """Serve with a Triton client that may be of any state."""
    blobs = open_blobs(f"file://{folder}/blobs", free_bytes=0)
    analyzer = TissueAnalyzer(triton, blobs, ct_tissue_card(REPOSITORY), LIMITS)
    service = AnalysisService(analyzer, triton)

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_AnalysisServiceServicer_to_server(service, server)

    async with running_server(folder, add) as running:
        channel = running.channel(
            Permission.PERMISSION_ANALYSIS_RUN, Permission.PERMISSION_ANALYSIS_READ
        )
        yield Mesh(pb_grpc.AnalysisServiceStub(channel), blobs)


@pytest.fixture
async def mesh(triton: TritonClient, tmp_path: Path) -> AsyncIterator[Mesh]:
    async with serving(triton, tmp_path) as mesh:
        yield mesh


def by_name(analysis: pb.Analysis) -> dict[str, measurement_pb2.Measurement]:
    return {item.name: item for item in analysis.measurements}


async def test_the_phantom_is_measured_within_three_per_cent(mesh: Mesh) -> None:
    phantom = ChestCtPhantom()
    truth = phantom.true_volumes_ml()

    messages = await mesh.analyze(await mesh.volume(phantom))

    measured = by_name(messages[-1].analysis)
    for structure in ("lungs", "bone", "body"):
        value = measured[f"{structure}.volume"].value
        assert value.unit_ucum == "mL"
        assert value.number == pytest.approx(truth[structure], rel=0.03), structure
    assert measured["lungs.mean_hu"].value.number == pytest.approx(-850, abs=30)


async def test_progress_never_goes_back_and_the_outcome_comes_last(mesh: Mesh) -> None:
    messages = await mesh.analyze(await mesh.volume())

    kinds = [message.WhichOneof("event") for message in messages]
    fractions = [message.progress.fraction for message in messages[:-1]]
    assert set(kinds[:-1]) == {"progress"}
    assert kinds[-1] == "analysis"
    assert fractions == sorted(fractions)


async def test_the_label_map_lies_on_the_grid_of_the_volume(mesh: Mesh) -> None:
    volume = await mesh.volume()

    analysis = (await mesh.analyze(volume))[-1].analysis

    source = await mesh.blobs.read(blob_from_proto(volume.nifti))
    labels = await mesh.blobs.read(blob_from_proto(analysis.labelmap))
    before = nibabel.Nifti1Image.from_bytes(gzip.decompress(source))
    after = nibabel.Nifti1Image.from_bytes(gzip.decompress(labels))
    assert np.array_equal(after.affine, before.affine)
    assert after.shape == before.shape
    lungs = np.asarray(after.dataobj) == analysis.labels[0].value
    assert np.asarray(before.dataobj)[lungs].mean() == pytest.approx(-850, abs=30)


async def test_overlays_are_pictures_and_the_key_image_is_first(mesh: Mesh) -> None:
    analysis = (await mesh.analyze(await mesh.volume()))[-1].analysis

    assert [overlay.kind for overlay in analysis.overlays] == ["overlay-coronal", "overlay-axial"]
    for overlay in analysis.overlays:
        picture = Image.open(io.BytesIO(await mesh.blobs.read(blob_from_proto(overlay.image))))
        assert picture.format == "PNG"
        assert overlay.alternative_text


async def test_a_second_run_gives_the_same_blobs_and_measurements(mesh: Mesh) -> None:
    volume = await mesh.volume()

    first = (await mesh.analyze(volume))[-1].analysis
    second = (await mesh.analyze(volume))[-1].analysis

    for analysis in (first, second):
        analysis.provenance.ClearField("start_time")
        analysis.provenance.ClearField("duration")
    assert first == second


async def test_provenance_names_model_source_and_input(mesh: Mesh) -> None:
    volume = await mesh.volume()

    provenance = (await mesh.analyze(volume))[-1].analysis.provenance

    assert (provenance.tool, provenance.tool_version, provenance.device) == (
        "ct_tissue",
        "1",
        "cpu",
    )
    assert provenance.weights_sha256 == ct_tissue_card(REPOSITORY).weights_sha256
    assert list(provenance.input_sha256) == [volume.nifti.sha256]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"modality": "MR"}, "NOT_CT"),
        ({"plane": volume_pb2.PLANE_CORONAL}, "NOT_AXIAL"),
        ({"plane": volume_pb2.PLANE_UNSPECIFIED}, "NOT_AXIAL"),
        ({"hounsfield": False}, "NOT_HOUNSFIELD"),
        (
            {
                "findings": [
                    volume_pb2.GeometryFinding(
                        code="UNEVEN_SPACING", severity=volume_pb2.SEVERITY_REFUSAL, text="Uneven."
                    )
                ]
            },
            "UNEVEN_SPACING",
        ),
    ],
)
async def test_a_series_outside_the_model_is_refused(
    mesh: Mesh, changes: dict[str, Any], code: str
) -> None:
    messages = await mesh.analyze(await mesh.volume(**changes))

    assert messages[-1].refusal.code == code
    assert messages[-1].refusal.text.endswith(".")


async def test_bytes_that_are_no_volume_are_refused(mesh: Mesh) -> None:
    ref = await mesh.blobs.put_bytes(b"not a volume", "application/gzip")

    messages = await mesh.analyze(await mesh.volume(nifti=blob_to_proto(ref)))

    assert messages[-1].refusal.code == "VOLUME_UNREADABLE"


async def test_more_voxels_than_the_limit_are_refused(mesh: Mesh) -> None:
    data = packed_volume(np.zeros((40, 700, 700), np.int16), (3.0, 0.5, 0.5))
    ref = await mesh.blobs.put_bytes(data, "application/gzip")

    messages = await mesh.analyze(await mesh.volume(nifti=blob_to_proto(ref)))

    assert messages[-1].refusal.code == "VOLUME_UNREADABLE"


async def test_air_alone_has_no_body(mesh: Mesh) -> None:
    hu = np.full((20, 64, 64), -1000, np.int16)
    hu[3, 3, 3] = 0
    ref = await mesh.blobs.put_bytes(packed_volume(hu, (3.0, 2.0, 2.0)), "application/gzip")

    messages = await mesh.analyze(await mesh.volume(nifti=blob_to_proto(ref)))

    assert messages[-1].refusal.code == "NO_BODY"


async def test_an_unknown_model_is_not_found(mesh: Mesh) -> None:
    with pytest.raises(ServiceCallError) as caught:
        await mesh.analyze(await mesh.volume(), model="nothing")

    assert caught.value.reason == "ERROR_REASON_MODEL_NOT_FOUND"


async def test_an_absent_volume_is_not_found(mesh: Mesh) -> None:
    volume = await mesh.volume()
    volume.nifti.sha256 = "0" * 64

    with pytest.raises(ServiceCallError) as caught:
        await mesh.analyze(volume)

    assert caught.value.reason == "ERROR_REASON_BLOB_NOT_FOUND"


async def test_a_dead_stub_is_a_retryable_error_and_the_retry_succeeds(
    mesh: Mesh, triton_server: RunningTriton
) -> None:
    volume = await mesh.volume()
    await mesh.analyze(volume)
    for pid in stub_pids(triton_server):
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(ServiceCallError) as caught:
        await mesh.analyze(volume)

    assert caught.value.reason == "ERROR_REASON_MODEL_UNAVAILABLE"
    assert caught.value.retryable
    assert (await mesh.analyze(volume))[-1].HasField("analysis")


async def test_an_absent_triton_is_a_retryable_error(tmp_path: Path) -> None:
    client = TritonClient(f"127.0.0.1:{free_ports()[0]}")

    async with serving(client, tmp_path) as mesh:
        with pytest.raises(ServiceCallError) as caught:
            await mesh.analyze(await mesh.volume())
        models = await mesh.stub.ListModels(pb.ListModelsRequest())
    await client.close()

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.reason == "ERROR_REASON_MODEL_UNAVAILABLE"
    assert not models.models[0].available
    assert models.models[0].unavailability.code == "MODEL_UNAVAILABLE"


async def test_models_are_listed_with_their_card(mesh: Mesh) -> None:
    models = (await mesh.stub.ListModels(pb.ListModelsRequest())).models

    assert [model.name for model in models] == ["ct_tissue"]
    assert models[0].available
    assert list(models[0].modalities) == ["CT"]


async def test_a_cancelled_call_leaves_no_shared_memory(mesh: Mesh) -> None:
    volume = await mesh.volume(ChestCtPhantom())
    call = mesh.stub.AnalyzeVolume(pb.AnalyzeVolumeRequest(model="ct_tissue", volume=volume))
    async for message in call:
        if message.progress.activity == "Labelling tissue":
            break
    await asyncio.sleep(0.2)

    call.cancel()

    async with asyncio.timeout(20):
        while list(FOLDER.glob(f"{DEFAULT_PREFIX}*")):  # noqa: ASYNC110 - another process' files
            await asyncio.sleep(0.05)
    assert (await mesh.analyze(await mesh.volume()))[-1].HasField("analysis")

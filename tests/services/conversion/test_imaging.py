"""Drawing, decoding and transcoding, by the functions and through the servicer's processes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels.utils import pixel_array

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.conversion.v1 import conversion_service_pb2 as pb
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as pb_grpc
from services.conversion.drawing import Viewport, Window, draw
from services.conversion.imaging import ImageError, decode, render, transcode
from services.conversion.service import ConversionService
from services.conversion.settings import ConversionSettings
from services.runtime.blob_messages import blob_to_proto
from services.runtime.client import error_info
from services.runtime.local_blobs import LocalBlobs
from services.runtime.workspaces import Workspaces
from tests.support.corpora import corpus
from tests.support.instances import ct_instance, part10
from tests.support.mesh import running_server

EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
JPEG_LS = "1.2.840.10008.1.2.4.80"
DEFLATED = "1.2.840.10008.1.2.1.99"


def file_of(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


def picture(content: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("center", "width", "curve", "value", "grey"),
    [
        (2048, 4096, "LINEAR", 0, 0),
        (2048, 4096, "LINEAR", 4095, 255),
        (100, 1, "LINEAR", 99, 0),
        (100, 1, "LINEAR", 100, 255),
        (0, 100, "LINEAR_EXACT", 0, 128),
        (0, 100, "SIGMOID", 0, 128),
        (0, 100, "SIGMOID", 100, 250),
    ],
)
def test_a_window_maps_values_as_the_standard_says(
    center: float, width: float, curve: Any, value: int, grey: int
) -> None:
    pixels = np.full((2, 2), value, np.int16)

    drawn = np.asarray(draw(pixels, pydicom.Dataset(), Window(center, width, curve), None))

    assert set(drawn.ravel()) == {grey}


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_many_pixels_are_drawn_as_few_are(photometric: str) -> None:
    header = pydicom.Dataset()
    header.PhotometricInterpretation = photometric
    header.RescaleSlope, header.RescaleIntercept = 2, -1024
    pixels = np.random.default_rng(1).integers(-2000, 2000, (300, 300)).astype(np.int16)
    window = Window(40, 400)

    whole = np.asarray(draw(pixels, header, window, None))
    rows = [np.asarray(draw(pixels[n : n + 1], header, window, None)) for n in range(300)]

    assert np.array_equal(whole, np.concatenate(rows))


def test_monochrome1_is_the_negative_of_monochrome2() -> None:
    header = pydicom.Dataset()
    pixels = np.arange(100, dtype=np.uint16).reshape(10, 10)
    header.PhotometricInterpretation = "MONOCHROME2"
    normal = np.asarray(draw(pixels, header, Window(50, 100), None))
    header.PhotometricInterpretation = "MONOCHROME1"

    inverse = np.asarray(draw(pixels, header, Window(50, 100), None))

    assert np.array_equal(inverse, 255 - normal)


def test_a_viewport_scales_cuts_and_flips() -> None:
    header = pydicom.Dataset()
    pixels = np.tile(np.arange(100, dtype=np.uint8), (50, 1))
    window = Window(50, 100, "LINEAR_EXACT")

    scaled = draw(pixels, header, window, Viewport(50, 50))
    flipped = draw(pixels, header, window, Viewport(20, 20, 10, 0, -20, 20))

    assert scaled.size == (50, 25)
    values = np.asarray(flipped)[0]
    assert values[0] > values[-1]
    assert abs(int(values[0]) - 29 * 255 / 100) < 5


@pytest.mark.parametrize("frame", [0, 2, 10_000])
def test_a_frame_that_is_not_there_is_refused(frame: int) -> None:
    with pytest.raises(ImageError, match="no such frame"):
        render(file_of("CT_small.dcm"), frame, "png", 90, None, None)


def test_a_colour_image_is_drawn_in_colour() -> None:
    drawn = picture(render(file_of("SC_rgb_small_odd.dcm"), 1, "png", 90, None, None))

    assert drawn.ndim == 3
    assert drawn.shape[2] == 3


def test_each_frame_of_a_multi_frame_image_is_drawn() -> None:
    source = file_of("rtdose.dcm")

    drawn = [render(source, frame, "png", 90, None, None) for frame in (1, 2, 10)]

    assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm"]
)
def test_decoded_frames_are_the_native_pixels(name: str) -> None:
    source = file_of(name)

    ((pixels, _),) = list(decode(source, [1]))

    expected = pixel_array(str(source), index=0)
    assert np.array_equal(
        np.frombuffer(pixels, expected.dtype.newbyteorder("<")).reshape(expected.shape), expected
    )


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, JPEG_LS, DEFLATED])
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm"])
def test_another_transfer_syntax_holds_the_same_pixels(
    name: str, syntax: str, tmp_path: Path
) -> None:
    target = tmp_path / "out.dcm"

    transcode(file_of(name), syntax, target)

    written, source = pydicom.dcmread(target), pydicom.dcmread(file_of(name))
    assert written.file_meta.TransferSyntaxUID == syntax
    assert target.read_bytes()[:128] == bytes(128)
    assert written.SOPInstanceUID == source.SOPInstanceUID
    assert np.array_equal(written.pixel_array, source.pixel_array)


@dataclass
class Conversion:
    stub: pb_grpc.ConversionServiceAsyncStub
    blobs: LocalBlobs
    work: Path

    async def request(self, content: bytes, **fields: Any) -> pb.RenderFrameRequest:
        ref = await self.blobs.put_bytes(content, "application/dicom")
        fields = {"frame": 1, "format": pb.PICTURE_FORMAT_PNG, **fields}
        return pb.RenderFrameRequest(blob=blob_to_proto(ref), **fields)

    async def render(self, content: bytes, **fields: Any) -> bytes:
        request = await self.request(content, **fields)
        return b"".join([part.data async for part in self.stub.RenderFrame(request)])


@pytest.fixture
async def conversion(tmp_path: Path) -> AsyncIterator[Conversion]:
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    settings = ConversionSettings(work_folder=tmp_path / "work", imaging_processes=1)
    workspaces = Workspaces(settings.work_folder)
    service = ConversionService(blobs, workspaces, settings)

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_ConversionServiceServicer_to_server(service, server)

    async with running_server(tmp_path, add) as server:
        channel = server.channel(Permission.PERMISSION_CONVERSION_RUN)
        yield Conversion(pb_grpc.ConversionServiceStub(channel), blobs, settings.work_folder)
    await service.close()
    workspaces.close()


async def test_pictures_come_through_one_process_one_after_another(conversion: Conversion) -> None:
    image = part10(ct_instance(size=256))

    first = await conversion.render(image)
    again = await conversion.render(image)
    small = await conversion.render(
        image,
        format=pb.PICTURE_FORMAT_JPEG,
        window=pb.Window(center=100, width=50),
        viewport=pb.Viewport(width=64, height=64),
    )

    assert first == again
    assert picture(first).shape == (256, 256)
    assert picture(small).shape == (64, 64)
    assert [path for path in conversion.work.glob("*/*") if path.name != "lock"] == []


async def test_decoded_frames_and_files_come_in_chunks(conversion: Conversion) -> None:
    image = part10(ct_instance(size=1024))
    ref = blob_to_proto(await conversion.blobs.put_bytes(image, "application/dicom"))

    decoded = [
        part
        async for part in conversion.stub.DecodeFrames(pb.DecodeFramesRequest(blob=ref, frames=[1]))
    ]
    request = pb.TranscodeInstanceRequest(blob=ref, transfer_syntax_uid=EXPLICIT)
    written = [part.data async for part in conversion.stub.TranscodeInstance(request)]

    assert [(len(part.data), part.last) for part in decoded] == [(1 << 20, False), (1 << 20, True)]
    assert pydicom.dcmread(io.BytesIO(b"".join(written))).Rows == 1024


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"frame": 0}, "frame"),
        ({"format": pb.PICTURE_FORMAT_UNSPECIFIED}, "format"),
        ({"quality": 101}, "quality"),
        ({"window": pb.Window(center=1, width=0)}, "window"),
        ({"window": pb.Window(center=float("nan"), width=10)}, "window"),
        ({"viewport": pb.Viewport(width=100_000, height=1)}, "viewport"),
    ],
)
async def test_a_request_that_breaks_a_rule_is_refused(
    conversion: Conversion, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await conversion.render(part10(ct_instance()), **fields)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = error_info(caught.value)
    assert info is not None
    assert info.metadata["field"] == field


async def test_what_cannot_be_decoded_is_refused_and_the_next_picture_comes(
    conversion: Conversion,
) -> None:
    broken = file_of("CT_small.dcm").read_bytes()[:-20_000]

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await conversion.render(broken)
    whole = await conversion.render(part10(ct_instance()))

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert picture(whole).shape == (64, 64)


async def test_a_stored_file_that_was_changed_is_not_shown(conversion: Conversion) -> None:
    request = await conversion.request(part10(ct_instance(seed=9)))
    ref = request.blob
    stored = conversion.blobs.folder / ref.sha256[:2] / ref.sha256
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [part async for part in conversion.stub.RenderFrame(request)]

    assert caught.value.code() is grpc.StatusCode.DATA_LOSS


async def test_a_stored_file_that_is_gone_is_told(conversion: Conversion) -> None:
    request = await conversion.request(part10(ct_instance(seed=10)))
    ref = request.blob
    (conversion.blobs.folder / ref.sha256[:2] / ref.sha256).unlink()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [part async for part in conversion.stub.RenderFrame(request)]

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.corpora
async def test_hostile_files_end_no_service(conversion: Conversion) -> None:
    files = sorted(corpus("hostile").glob("cat04*/*"))[:12]
    refusals = []
    assert files
    for path in files:
        try:
            await conversion.render(path.read_bytes())
        except grpc.aio.AioRpcError as error:
            refusals.append(error.code())

    assert set(refusals) <= {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INTERNAL}
    assert picture(await conversion.render(part10(ct_instance()))).shape == (64, 64)

"""The door to addresses outside, called through a real channel."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from heimdallr.access.v1.audit_action_pb2 import AuditAction
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.deid.v1 import outbound_service_pb2 as pb
from heimdallr.deid.v1.outbound_service_pb2_grpc import (
    OutboundServiceStub,
    add_OutboundServiceServicer_to_server,
)
from services.deid.outbound.image_release import Pictures
from services.deid.outbound.service import OutboundService
from services.deid.pixels.engine import engine_name
from services.deid.processes import Processes, ProcessLimits
from services.runtime.blob_messages import blob_to_proto
from services.runtime.blob_ref import BlobRef
from services.runtime.client import ServiceCallError, typed_errors
from services.runtime.errors import (
    InvalidDicomError,
    NotReleasedError,
    OcrUnavailableError,
    ServiceError,
)
from services.runtime.ids import new_id
from services.runtime.local_blobs import LocalBlobs
from services.runtime.metrics import REGISTRY
from services.runtime.workspaces import Workspaces
from tests.support.instances import ct_instance, part10
from tests.support.mesh import RunningServer, running_server

PROJECT = "01a1fe91-66c6-71ab-8cc9-5ddfcb0bb29e"


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs", free_bytes=0)


@pytest.fixture
async def server(tmp_path: Path, blobs: LocalBlobs) -> AsyncIterator[RunningServer]:
    work = tmp_path / "work"
    work.mkdir(mode=0o700)
    pictures = Pictures(blobs, Workspaces(work), Processes(ProcessLimits(1, 60.0), work))

    def add(target: grpc.aio.Server) -> None:
        add_OutboundServiceServicer_to_server(OutboundService(pictures), target)

    async with running_server(tmp_path, add) as running:
        yield running
    await pictures.close()


@pytest.fixture
def outbound(server: RunningServer) -> Any:
    return OutboundServiceStub(server.channel(Permission.PERMISSION_OUTBOUND_RELEASE))


def request(text: str, **changes: Any) -> pb.ReleaseTextRequest:
    known = pb.KnownIdentifiers(names=["KOWALCZYK^ZDENKA"], numbers=["MRN-7788"])
    values: dict[str, Any] = {
        "release_id": new_id(),
        "project_id": PROJECT,
        "destination": pb.Destination(host="api.example.org", model="reader-1"),
        "fields": [pb.TextField(name="indication", text=text)],
        "known": known,
        "patient_age_years": 67,
    }
    return pb.ReleaseTextRequest(**(values | changes))


async def refused(call: Any) -> ServiceCallError:
    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await call
    return caught.value


async def test_text_leaves_cleaned_with_an_age_band(outbound: Any) -> None:
    wanted = request("Cough of Zdenka Kowalczyk, 67-year-old, MRN-7788. No fever.")

    answer = await outbound.ReleaseText(wanted)

    [field] = answer.fields
    assert field.text == "Cough of [removed], 60-69-year-old, [removed]. No fever."
    assert answer.age_band == "60-69"
    assert answer.release_id == wanted.release_id
    assert answer.removed_count == 4


async def test_a_release_leaves_its_row_in_the_audit_trail_and_no_content(
    server: RunningServer, outbound: Any
) -> None:
    wanted = request("Cough of Zdenka Kowalczyk.")

    await outbound.ReleaseText(wanted)

    [entry] = server.trail.entries
    assert entry.action == AuditAction.AUDIT_ACTION_RELEASE_OUTSIDE
    assert entry.object_id == wanted.release_id
    assert "kowalczyk" not in repr(entry).lower()


async def test_a_refusal_is_typed_counted_and_names_field_and_rule(outbound: Any) -> None:
    labels = {"kind": "text", "outcome": "refused"}
    before = REGISTRY.get_sample_value("heimdallr_outbound_releases_total", labels) or 0.0
    wanted = request("No fracture.", known=pb.KnownIdentifiers(names=["NO^HYUN"]))

    error = await refused(outbound.ReleaseText(wanted))

    assert error.code is grpc.StatusCode.FAILED_PRECONDITION
    assert error.reason == "ERROR_REASON_NOT_RELEASED"
    assert error.metadata["field"] == "indication"
    assert "opposite" in error.metadata["rule"]
    after = REGISTRY.get_sample_value("heimdallr_outbound_releases_total", labels)
    assert after == before + 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"known": pb.KnownIdentifiers()}, "known"),
        ({"fields": []}, "fields"),
        ({"fields": [pb.TextField(name="John Doe", text="x")]}, "fields.name"),
        ({"fields": [pb.TextField(name="a", text="x" * 20_001)]}, "fields.text"),
        ({"destination": pb.Destination()}, "destination.host"),
        ({"project_id": "research"}, "project_id"),
        ({"release_id": "mine"}, "release_id"),
        ({"patient_age_years": 151}, "patient_age_years"),
    ],
)
async def test_what_is_not_asked_rightly_is_refused(
    outbound: Any, changes: dict[str, Any], field: str
) -> None:
    error = await refused(outbound.ReleaseText(request("Cough.", **changes)))

    assert error.reason == "ERROR_REASON_INVALID_FIELD"
    assert error.metadata["field"] == field


async def pictured(outbound: Any, ref: BlobRef) -> tuple[pb.ReleasedImage, bytes]:
    wanted = pb.ReleaseImageRequest(
        release_id=new_id(),
        project_id=PROJECT,
        destination=pb.Destination(host="api.example.org"),
        content=blob_to_proto(ref),
    )
    answers = [answer async for answer in outbound.ReleaseImage(wanted)]
    return answers[0].image, b"".join(answer.chunk for answer in answers[1:])


@pytest.mark.skipif(not engine_name(), reason="no OCR engine is installed")
async def test_a_picture_leaves_without_header_and_drawn_text(
    outbound: Any, blobs: LocalBlobs
) -> None:
    film = ct_instance(size=256)
    shown = Image.new("L", (256, 256))
    font = ImageFont.load_default(28)
    ImageDraw.Draw(shown).text((8, 8), "KOWALCZYK", fill=255, font=font)
    film.PatientName, film.PixelData = "KOWALCZYK^ZDENKA", np.array(shown, np.uint16).tobytes()
    film["PixelData"].VR = "OW"
    ref = await blobs.put_bytes(part10(film), "application/dicom")

    image, png = await pictured(outbound, ref)

    drawn = np.array(Image.open(BytesIO(png)))
    assert hashlib.sha256(png).hexdigest() == image.sha256
    assert [box.code for box in image.boxes]
    assert drawn.shape == (256, 256)
    assert drawn[:48, :200].max() == 0
    assert b"KOWALCZYK" not in png


async def test_what_is_no_picture_does_not_leave(outbound: Any, blobs: LocalBlobs) -> None:
    ref = await blobs.put_bytes(b"no DICOM at all", "application/dicom")

    with pytest.raises(ServiceCallError) as caught, typed_errors():
        await pictured(outbound, ref)

    assert caught.value.reason == "ERROR_REASON_INVALID_DICOM"


async def test_who_may_not_release_gets_nothing(server: RunningServer) -> None:
    stub: Any = OutboundServiceStub(server.channel(Permission.PERMISSION_DEID_RUN))

    error = await refused(stub.ReleaseText(request("Cough.")))

    assert error.code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("OCR_UNAVAILABLE", OcrUnavailableError),
        ("INVALID_DICOM", InvalidDicomError),
        ("IDENTIFIER_FOUND", NotReleasedError),
        ("TEXT_LEFT", NotReleasedError),
    ],
)
async def test_why_a_picture_stays_is_typed(
    tmp_path: Path, blobs: LocalBlobs, code: str, kind: type[ServiceError]
) -> None:
    @dataclass
    class Held:
        said: dict[str, Any]

        async def chunks(self) -> AsyncIterator[bytes]:
            for chunk in tuple[bytes, ...]():
                yield chunk

    class Holding:
        @asynccontextmanager
        async def doing(self, _orders: Any, _task: Any) -> AsyncIterator[Held]:
            yield Held({"held": [{"code": code, "element": "", "rule": "a rule"}]})

    ref = await blobs.put_bytes(b"an object", "application/dicom")
    processes: Any = Holding()
    pictures = Pictures(blobs, Workspaces(tmp_path / "held"), processes)

    with pytest.raises(kind):
        await pictures.release(PROJECT, ref, 1)

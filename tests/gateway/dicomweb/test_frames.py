"""WADO-RS: frames as viewers ask for them."""

from __future__ import annotations

import pytest

from tests.gateway.dicomweb.conftest import WRITE, Dicomweb, path_of
from tests.gateway.dicomweb.retrieving import EXPLICIT, RLE, parts, sent
from tests.support.instances import ct_instance

VIEWER = "multipart/related; type=application/octet-stream; transfer-syntax=*"


async def test_frames_come_as_viewers_ask(dicomweb: Dicomweb) -> None:
    instance = ct_instance()
    path = await dicomweb.stored(instance)

    _, answer, body = await dicomweb.get(f"{path}/frames/1", Accept=VIEWER)

    ((kind, content),) = parts(answer, body)
    assert kind == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert content == instance.PixelData


async def test_compressed_frames_come_as_stored_or_decoded(dicomweb: Dicomweb) -> None:
    path, instance = await sent(dicomweb, "rtdose_rle.dcm")

    _, answer, body = await dicomweb.get(f"{path}/frames/1,15,3", Accept=VIEWER)
    stored = parts(answer, body)
    _, answer, body = await dicomweb.get(
        f"{path}/frames/1,15,3", Accept="multipart/related; type=application/octet-stream"
    )
    decoded = parts(answer, body)

    assert [kind for kind, _ in stored] == [f"application/octet-stream; transfer-syntax={RLE}"] * 3
    pixels = instance.pixel_array
    for (kind, content), number in zip(decoded, (1, 15, 3), strict=True):
        assert kind.endswith(EXPLICIT)
        assert content == pixels[number - 1].tobytes()


@pytest.mark.parametrize("name", ["MR_small_bigendian.dcm", "image_dfl.dcm"])
async def test_frames_of_odd_encodings_are_decoded(dicomweb: Dicomweb, name: str) -> None:
    path, instance = await sent(dicomweb, name)

    _, answer, body = await dicomweb.get(f"{path}/frames/1", Accept="application/octet-stream")

    assert answer.status == 200
    order = instance.pixel_array.dtype.newbyteorder("<")
    assert body == instance.pixel_array.astype(order).tobytes()


async def test_many_frames_are_streamed(dicomweb: Dicomweb) -> None:
    path, instance = await sent(dicomweb, "rtdose.dcm")
    numbers = ",".join(str(number) for number in range(1, 16))

    _, answer, body = await dicomweb.get(f"{path}/frames/{numbers}", Accept=VIEWER)

    assert b"".join(content for _, content in parts(answer, body)) == instance.PixelData


@pytest.mark.parametrize(
    ("frames", "status"),
    [("2", 404), ("0", 400), ("-1", 400), ("1,x", 400), ("1,,2", 400), ("9" * 30, 400)],
)
async def test_frames_that_are_not_there_are_not_found(
    dicomweb: Dicomweb, frames: str, status: int
) -> None:
    path = await dicomweb.stored(ct_instance())

    answered, _, _ = await dicomweb.get(f"{path}/frames/{frames}")

    assert answered == status


async def test_a_series_is_located_once_for_its_frames(dicomweb: Dicomweb) -> None:
    instances = [ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=n) for n in (1, 2, 3)]
    await dicomweb.stored(*instances)

    for instance in instances:
        status, _, _ = await dicomweb.get(f"{path_of(instance)}/frames/1")
        assert status == 200
    late = ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=4)
    await dicomweb.stored(late)
    status, _, _ = await dicomweb.get(f"{path_of(late)}/frames/1")

    assert status == 200
    assert dicomweb.archive.locates == 2


async def test_what_one_caller_found_is_not_given_to_another(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance())
    await dicomweb.get(f"{path}/frames/1")

    status, _, _ = await dicomweb.get(f"{path}/frames/1", token=dicomweb.mesh.tokens.mint(WRITE))

    assert status == 403

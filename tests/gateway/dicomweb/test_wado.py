"""WADO-RS: instances, metadata, frames, bulk data, pictures."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from email.message import Message
from email.parser import BytesParser
from io import BytesIO
from pathlib import Path

import aiohttp
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.runtime.blob_messages import blob_to_proto
from tests.gateway.dicomweb.conftest import WRITE, Dicomweb, path_of
from tests.support.instances import ct_instance, part10

EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
VIEWER = "multipart/related; type=application/octet-stream; transfer-syntax=*"


def file_of(name: str) -> bytes:
    return Path(str(get_testdata_file(name))).read_bytes()


def parts(answer: aiohttp.ClientResponse, body: bytes) -> list[tuple[str, bytes]]:
    """Take an answer apart with somebody else's parser."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message: Message = BytesParser().parsebytes(head + body)
    found = []
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            found.append((str(part["Content-Type"]), content))
    return found


async def sent(dicomweb: Dicomweb, name: str) -> tuple[str, pydicom.Dataset]:
    file = file_of(name)
    status, outcome = await dicomweb.store(file)
    assert status == 200, outcome
    instance = pydicom.dcmread(BytesIO(file))
    return path_of(instance), instance


async def test_an_instance_comes_back_with_the_same_data_set(dicomweb: Dicomweb) -> None:
    instance = ct_instance()
    path = await dicomweb.stored(instance)

    status, answer, body = await dicomweb.get(path, Accept="application/dicom")

    assert status == 200
    assert body[:128] == bytes(128)
    assert pydicom.dcmread(BytesIO(body)).PixelData == instance.PixelData
    ref = dicomweb.index.received[instance.SOPInstanceUID].staged.ref
    assert ref.sha256 in answer.headers["ETag"]


@pytest.mark.parametrize("accept", ["", "*/*", 'multipart/related; type="application/dicom"'])
async def test_a_series_comes_as_parts(dicomweb: Dicomweb, accept: str) -> None:
    instances = [ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=n) for n in (1, 2, 3)]
    await dicomweb.stored(*instances)

    _, answer, body = await dicomweb.get("/studies/1.2.3/series/1.2.4", Accept=accept)

    found = [pydicom.dcmread(BytesIO(content)) for _, content in parts(answer, body)]
    assert [one.SOPInstanceUID for one in found] == [one.SOPInstanceUID for one in instances]
    assert 'type="application/dicom"' in answer.headers["Content-Type"]


async def test_a_part_of_an_instance_can_be_asked_for(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance())
    _, _, whole = await dicomweb.get(path, Accept="application/dicom")

    status, answer, body = await dicomweb.get(
        path, Accept="application/dicom", Range="bytes=100-299"
    )
    beyond, _, _ = await dicomweb.get(path, Accept="application/dicom", Range="bytes=9999999-")

    assert (status, body) == (206, whole[100:300])
    assert answer.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    assert beyond == 416


async def test_what_the_client_has_is_not_sent_again(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance())

    for resource in ("", "/metadata", "/frames/1", "/rendered"):
        _, answer, _ = await dicomweb.get(path + resource)
        status, _, body = await dicomweb.get(path + resource, If_None_Match=answer.headers["ETag"])
        assert (status, body) == (304, b""), resource


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        ("application/dicom", EXPLICIT),
        ("application/dicom; transfer-syntax=*", RLE),
        (f"application/dicom; transfer-syntax={EXPLICIT}", EXPLICIT),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.80"),
    ],
)
async def test_an_instance_is_transcoded_as_it_is_wanted(
    dicomweb: Dicomweb, accept: str, syntax: str
) -> None:
    path, instance = await sent(dicomweb, "MR_small_RLE.dcm")

    _, answer, body = await dicomweb.get(path, Accept=accept)

    given = pydicom.dcmread(BytesIO(body))
    assert given.file_meta.TransferSyntaxUID == syntax
    assert answer.headers["Content-Type"] == f"application/dicom; transfer-syntax={syntax}"
    assert np.array_equal(given.pixel_array, instance.pixel_array)


@pytest.mark.parametrize(
    "accept", ["application/dicom; transfer-syntax=1.2.840.10008.1.2.4.50", "text/html"]
)
async def test_what_cannot_be_given_is_not_acceptable(dicomweb: Dicomweb, accept: str) -> None:
    path = await dicomweb.stored(ct_instance())

    status, answer, _ = await dicomweb.get(path, Accept=accept)

    assert status == 406
    assert answer.content_type == "application/problem+json"


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


async def test_metadata_tells_all_but_bulk_data(dicomweb: Dicomweb) -> None:
    instances = [ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=n) for n in (1, 2)]
    await dicomweb.stored(*instances)

    status, answer, body = await dicomweb.get("/studies/1.2.3/metadata", Accept_Encoding="gzip")

    assert status == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    found = json.loads(gzip.decompress(body))
    assert [one["00080018"]["Value"][0] for one in found] == [i.SOPInstanceUID for i in instances]
    assert found[0]["7FE00010"]["vr"] == "OW"
    url = found[0]["7FE00010"]["BulkDataURI"]
    assert url.startswith(f"{dicomweb.session._base_url}/dicom-web/studies/1.2.3/series/1.2.4/")


async def test_bulk_data_is_where_metadata_says(dicomweb: Dicomweb) -> None:
    instance = ct_instance()
    path = await dicomweb.stored(instance)
    _, _, body = await dicomweb.get(f"{path}/metadata", Accept_Encoding="identity")
    url = json.loads(body)[0]["7FE00010"]["BulkDataURI"]
    bulk = url.partition("/dicom-web")[2]

    status, _, plain = await dicomweb.get(bulk, Accept="application/octet-stream")
    _, answer, in_parts = await dicomweb.get(bulk)
    ranged, _, some = await dicomweb.get(
        bulk, Accept="application/octet-stream", Range="bytes=10-19"
    )
    by_tag, _, same = await dicomweb.get(
        f"{path}/bulkdata/7FE00010", Accept="application/octet-stream"
    )

    assert (status, plain) == (200, instance.PixelData)
    assert parts(answer, in_parts)[0][1] == instance.PixelData
    assert (ranged, some) == (206, plain[10:20])
    assert (by_tag, same) == (200, plain)


@pytest.mark.parametrize(
    ("bulk", "status"),
    [
        ("7FE00010/0/100", 404),
        ("00100020/0/100000", 404),
        ("7FE00011", 404),
        ("nonsense", 400),
        ("7FE00010/-1/5", 400),
        ("7FE00010/1e3/5", 400),
    ],
)
async def test_bulk_data_is_only_what_is_an_element(
    dicomweb: Dicomweb, bulk: str, status: int
) -> None:
    path = await dicomweb.stored(ct_instance())

    answered, _, _ = await dicomweb.get(f"{path}/bulkdata/{bulk}")

    assert answered == status


async def test_compressed_bulk_data_comes_frame_by_frame(dicomweb: Dicomweb) -> None:
    path, _ = await sent(dicomweb, "rtdose_rle.dcm")

    _, answer, body = await dicomweb.get(f"{path}/bulkdata/7FE00010")

    found = parts(answer, body)
    assert len(found) == 15
    assert {kind for kind, _ in found} == {f"application/octet-stream; transfer-syntax={RLE}"}


async def test_metadata_that_conversion_made_is_taken_while_it_is_of_these_instances(
    dicomweb: Dicomweb,
) -> None:
    instances = [ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=n) for n in (1, 2)]
    await dicomweb.stored(*instances)
    made = [{"00080018": {"vr": "UI", "Value": [one.SOPInstanceUID]}} for one in instances]
    made[0]["00081030"] = {"vr": "LO", "Value": ["made by conversion"]}
    ref = await dicomweb.blobs.put_bytes(
        gzip.compress(json.dumps(made).encode()), "application/gzip"
    )
    described = workflow_pb.SeriesResults(series_id="1.2.4", metadata=blob_to_proto(ref))
    dicomweb.workflow.results = workflow_pb.GetStudyResultsResponse(series=[described])

    _, _, body = await dicomweb.get("/studies/1.2.3/series/1.2.4/metadata", Accept_Encoding="gzip")
    await dicomweb.stored(ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=3))
    _, _, late = await dicomweb.get("/studies/1.2.3/series/1.2.4/metadata", Accept_Encoding="gzip")

    assert json.loads(gzip.decompress(body)) == made
    assert len(json.loads(gzip.decompress(late))) == 3
    assert described.metadata != BlobRef()


@pytest.mark.parametrize(
    ("accept", "kind", "form"),
    [
        ("", "image/jpeg", "JPEG"),
        ("image/png", "image/png", "PNG"),
        ("image/*", "image/jpeg", "JPEG"),
    ],
)
async def test_a_picture_comes_as_it_is_wanted(
    dicomweb: Dicomweb, accept: str, kind: str, form: str
) -> None:
    path = await dicomweb.stored(ct_instance(size=100))

    status, answer, body = await dicomweb.get(f"{path}/rendered", Accept=accept)

    picture = Image.open(BytesIO(body))
    assert (status, answer.headers["Content-Type"]) == (200, kind)
    assert (picture.format, picture.size) == (form, (100, 100))


async def test_pictures_have_the_window_and_size_asked_for(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance(size=100))

    _, _, dark = await dicomweb.get(f"{path}/rendered?window=9000,100&accept=image/png")
    _, _, bright = await dicomweb.get(f"{path}/rendered?window=-9000,100,linear&accept=image/png")
    _, _, small = await dicomweb.get(f"{path}/frames/1/rendered?viewport=30,40")
    _, _, thumbnail = await dicomweb.get(f"{path.partition('/instances')[0]}/thumbnail")

    assert np.asarray(Image.open(BytesIO(dark))).max() == 0
    assert np.asarray(Image.open(BytesIO(bright))).min() == 255
    assert Image.open(BytesIO(small)).size == (30, 30)
    assert Image.open(BytesIO(thumbnail)).size == (256, 256)


async def test_a_picture_is_made_once(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance())
    _, _, first = await dicomweb.get(f"{path}/rendered")
    stored = dicomweb.index.received.popitem()[1].staged.ref
    await dicomweb.blobs.delete(stored)

    _, _, again = await dicomweb.get(f"{path}/rendered")

    assert first == again
    kept = list((dicomweb.folder / "journal/dicomweb-cache").iterdir())
    assert [re.fullmatch("[0-9a-f]{64}", path.name) is not None for path in kept] == [True]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


async def test_pictures_are_made_over_one_recorded_stream(dicomweb: Dicomweb) -> None:
    instances = [ct_instance(study_uid="1.2.3", series_uid="1.2.4", number=n) for n in range(6)]
    await dicomweb.stored(*instances)
    plan, _ = await sent(dicomweb, "rtplan.dcm")
    paths = [path_of(instance) for instance in instances]

    answers = await asyncio.gather(
        *[dicomweb.get(f"{path}/rendered") for path in (*paths, plan, *paths)]
    )

    assert [status for status, _, _ in answers] == [200] * 6 + [406] + [200] * 6
    recorded = [e for e in dicomweb.mesh.trail.entries if "ConversionService" in e.method]
    assert [entry.method.rpartition("/")[2] for entry in recorded] == ["RenderFrames"]


@pytest.mark.parametrize(
    "query",
    [
        "window=1",
        "window=1,0",
        "window=1,2,cubic",
        "window=nan,5",
        "window=1,inf",
        "viewport=0,10",
        "viewport=1e9,10",
        "viewport=10",
        "viewport=10,10,-5,0,1,1",
        "quality=0",
        "quality=101",
        "quality=x",
    ],
)
async def test_a_picture_that_breaks_a_rule_is_refused(dicomweb: Dicomweb, query: str) -> None:
    path = await dicomweb.stored(ct_instance())

    status, _, _ = await dicomweb.get(f"{path}/rendered?{query}")

    assert status == 400


async def test_what_has_no_picture_says_so(dicomweb: Dicomweb) -> None:
    path, _ = await sent(dicomweb, "rtplan.dcm")

    rendered, _, _ = await dicomweb.get(f"{path}/rendered")
    frames, _, _ = await dicomweb.get(f"{path}/frames/1")
    octets, _, _ = await dicomweb.get(f"{path}/rendered", Accept="image/gif")

    assert (rendered, frames, octets) == (406, 404, 406)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies/1.2.3", 404),
        ("/studies/1.2.3/series/4.5.6/metadata", 404),
        ("/studies/1.2.3/series/4.5.6/instances/7.8.9/frames/1", 404),
        ("/studies/abc", 400),
        ("/studies/..%2f..%2fetc", 400),
        ("/studies/%2e%2e", 404),
        (f"/studies/{'1.' * 40}1", 400),
        ("/studies/1.2.3/series/1;2/metadata", 400),
        ("/nothing", 404),
        ("", 404),
    ],
)
async def test_an_address_of_nothing_is_refused(dicomweb: Dicomweb, path: str, status: int) -> None:
    await dicomweb.stored(ct_instance(study_uid="9.9.9"))

    answered, answer, body = await dicomweb.get(path)

    assert answered == status
    assert answer.content_type == "application/problem+json"
    assert "1.2.3" not in body.decode()


async def test_every_address_needs_a_token(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance())
    resources = ["", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"]
    expired = dicomweb.mesh.tokens.mint(lifetime_s=-60)

    for resource in resources:
        for token in ("", expired, "a.b.c"):
            status, _, body = await dicomweb.get(path + resource, token=token)
            assert status == 401, resource
            assert json.loads(body)["status"] == 401


async def test_the_cookie_of_the_page_reads(dicomweb: Dicomweb) -> None:
    path = await dicomweb.stored(ct_instance())
    headers = {"Cookie": f"heimdallr_session={dicomweb.token}"}

    async with dicomweb.session.get(f"/dicom-web{path}/metadata", headers=headers) as answer:
        assert answer.status == 200


async def test_a_damaged_file_is_not_given_out(dicomweb: Dicomweb) -> None:
    instance = ct_instance()
    path = await dicomweb.stored(instance)
    ref = dicomweb.index.received[instance.SOPInstanceUID].staged.ref
    stored = dicomweb.blobs.folder / ref.sha256[:2] / ref.sha256
    content = bytearray(stored.read_bytes())
    content[-9] ^= 1
    stored.write_bytes(content)

    frames, _, _ = await dicomweb.get(f"{path}/frames/1")
    rendered, _, _ = await dicomweb.get(f"{path}/rendered")
    metadata, _, _ = await dicomweb.get(f"{path}/metadata")

    assert (frames, rendered, metadata) == (500, 500, 500)
    with pytest.raises(aiohttp.ClientError):
        await dicomweb.get(path)


async def test_no_error_holds_what_was_asked(dicomweb: Dicomweb) -> None:
    for path in ("/studies?PatientName=SECRET*&limit=x", "/studies/SECRET", "/SECRET"):
        _, _, body = await dicomweb.get(path)
        assert b"SECRET" not in body


async def test_hosts_that_are_no_hosts_are_refused(dicomweb: Dicomweb) -> None:
    await dicomweb.store(part10(ct_instance()))

    status, _, _ = await dicomweb.get("/studies", Host='x"y')

    assert status == 400

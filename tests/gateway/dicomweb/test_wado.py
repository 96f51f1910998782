"""WADO-RS: instances, metadata, frames, bulk data, pictures."""

from __future__ import annotations

import json
from io import BytesIO

import aiohttp
import numpy as np
import pydicom
import pytest

from tests.gateway.dicomweb.conftest import Dicomweb
from tests.gateway.dicomweb.retrieving import EXPLICIT, RLE, parts, sent
from tests.support.instances import ct_instance, part10


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

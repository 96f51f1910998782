"""Other people's clients against a whole stack: dicomweb-client, and Orthanc's own."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from tests.support.instances import ct_instance, part10
from tests.support.orthanc import RunningOrthanc, require_orthanc
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack]

COUNT = 5


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    with RunningStack(arguments=("--without", "triton")) as running:
        yield running


@pytest.fixture(scope="module")
def token(stack: RunningStack) -> str:
    return (Path(stack.state.run) / "tokens" / "operator.jwt").read_text().strip()


@pytest.fixture(scope="module")
def client(stack: RunningStack, token: str) -> DICOMwebClient:
    root = f"http://127.0.0.1:{stack.http_port}/dicom-web"
    made = DICOMwebClient(root, headers={"Authorization": f"Bearer {token}"})
    # It says Host without the port, and would be told URLs without one.
    made.host = f"127.0.0.1:{stack.http_port}"
    return made


@pytest.fixture(scope="module")
def series(client: DICOMwebClient) -> list[Dataset]:
    """A series that dicomweb-client has stored."""
    first = ct_instance(size=128)
    uids = {"study_uid": first.StudyInstanceUID, "series_uid": first.SeriesInstanceUID}
    instances = [ct_instance(size=128, number=n + 1, **uids) for n in range(COUNT)]
    readable = [pydicom.dcmread(io.BytesIO(part10(instance))) for instance in instances]
    outcome = client.store_instances(readable)
    assert len(outcome.ReferencedSOPSequence) == COUNT
    # On a busy machine the journal answers, and what it holds is found a little later.
    deadline = time.monotonic() + 60
    while len(client.search_for_instances(first.StudyInstanceUID)) < COUNT:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return instances


def uids(instance: Dataset) -> tuple[str, str, str]:
    return instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID


def test_dicomweb_client_searches(client: DICOMwebClient, series: list[Dataset]) -> None:
    study, one, _ = uids(series[0])

    studies = client.search_for_studies(search_filters={"StudyInstanceUID": study})
    found = client.search_for_series(study)
    instances = client.search_for_instances(study, one, limit=COUNT - 1)
    by_name = client.search_for_studies(search_filters={"00100010": "PHANTOM*"}, fuzzymatching=True)

    assert studies[0]["00201208"]["Value"] == [COUNT]
    assert found[0]["00201209"]["Value"] == [COUNT]
    assert len(instances) == COUNT - 1
    assert study in {match["0020000D"]["Value"][0] for match in by_name}
    assert client.search_for_studies(search_filters={"PatientID": "NOBODY"}) == []


def test_dicomweb_client_retrieves(client: DICOMwebClient, series: list[Dataset]) -> None:
    study, one, instance = uids(series[0])

    whole = client.retrieve_series(study, one)
    single = client.retrieve_instance(study, one, instance)
    (frame,) = client.retrieve_instance_frames(study, one, instance, [1])
    metadata = client.retrieve_series_metadata(study, one)
    (bulk,) = client.retrieve_bulkdata(metadata[0]["7FE00010"]["BulkDataURI"])
    picture = client.retrieve_instance_rendered(study, one, instance, media_types=("image/png",))

    assert [found.SOPInstanceUID for found in whole] == [found.SOPInstanceUID for found in series]
    assert single.PixelData == frame == bulk == series[0].PixelData
    assert len(metadata) == COUNT
    assert picture.startswith(b"\x89PNG")


def test_dicomweb_client_gets_compressed_pixels_decoded(client: DICOMwebClient) -> None:
    instance = pydicom.dcmread(str(get_testdata_file("MR_small_RLE.dcm")))
    client.store_instances([instance])

    (frame,) = client.retrieve_instance_frames(*uids(instance), [1])
    given = client.retrieve_instance(*uids(instance))

    assert frame == instance.pixel_array.tobytes()
    assert np.array_equal(given.pixel_array, instance.pixel_array)


@pytest.mark.orthanc
def test_orthanc_stores_searches_and_retrieves(
    stack: RunningStack, token: str, series: list[Dataset]
) -> None:
    require_orthanc()
    server: dict[str, Any] = {
        "Url": f"http://127.0.0.1:{stack.http_port}/dicom-web/",
        "HttpHeaders": {"Authorization": f"Bearer {token}"},
    }
    options = {"DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": {"us": server}}}
    sent = ct_instance(size=64)
    study = series[0].StudyInstanceUID
    with RunningOrthanc(options=options) as orthanc:
        stored = orthanc.post("/instances", part10(sent))
        orthanc.post(
            "/dicom-web/servers/us/stow", {"Resources": [stored["ID"]], "Synchronous": True}
        )
        found = orthanc.post(
            "/dicom-web/servers/us/qido",
            {"Uri": "/studies", "Arguments": {"00100020": "GATEWAY-1"}},
        )
        orthanc.post("/dicom-web/servers/us/retrieve", {"Resources": [{"Study": study}]})
        held = orthanc.instance_count()

    named = {match["0020000D"]["Value"] for match in found}
    assert {study, sent.StudyInstanceUID} <= named
    assert held == COUNT + 1


def test_a_gateway_says_which_route_failed_and_no_uid(
    stack: RunningStack, token: str, series: list[Dataset]
) -> None:
    study, one, instance = uids(series[0])
    headers = {"Authorization": f"Bearer {token}"}
    root = f"http://127.0.0.1:{stack.http_port}/dicom-web/studies/{study}"

    missing = requests.get(
        f"{root}/series/{one}/instances/1.2.3/frames/1", headers=headers, timeout=9
    )
    nobody = requests.get(f"{root}/series/{one}/instances/{instance}/frames/1", timeout=9)

    assert (missing.status_code, nobody.status_code) == (404, 401)
    assert missing.headers["X-Correlation-ID"] == missing.json()["correlation_id"]
    logs = "".join(stack.logs().values())
    for uid in (study, one, instance):
        assert uid not in logs

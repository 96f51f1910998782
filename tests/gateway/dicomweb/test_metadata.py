"""WADO-RS: metadata and bulk data."""

from __future__ import annotations

import gzip
import json

import pytest

from heimdallr.imaging.v1.blob_ref_pb2 import BlobRef
from heimdallr.workflow.v1 import workflow_service_pb2 as workflow_pb
from services.runtime.blob_messages import blob_to_proto
from tests.gateway.dicomweb.conftest import Dicomweb
from tests.gateway.dicomweb.retrieving import RLE, parts, sent
from tests.support.instances import ct_instance


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

"""Bytes that the archive gives out."""

from __future__ import annotations

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as pb
from services.runtime.ids import new_id
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive
from tests.services.coordinator.archive.reasons import reason

pytestmark = pytest.mark.postgres


async def _fetched(archive: Archive, instance_id: str, offset: int = 0) -> list[bytes]:
    request = pb.FetchInstanceRequest(instance_id=instance_id, offset=offset)
    return [chunk.data async for chunk in archive.stub.FetchInstance(request)]


@pytest.mark.parametrize("offset", [0, 1, 1_500_000, 2_500_000])
async def test_an_instance_is_fetched_in_chunks_from_any_byte(
    archive: Archive, offset: int
) -> None:
    data = bytes(range(250)) * 10_000
    await archive.blobs.put_bytes(data, "application/dicom")
    (indexed,) = await archive.add(arrival(data=data))

    chunks = await _fetched(archive, indexed.held.instance_id, offset)

    assert b"".join(chunks) == data[offset:]
    assert max((len(chunk) for chunk in chunks), default=0) <= 1 << 20


async def test_changed_and_lost_bytes_are_data_loss(archive: Archive) -> None:
    ref = await archive.blobs.put_bytes(b"right", "application/dicom")
    (changed, lost) = await archive.add(
        arrival(number=1, data=b"right"), arrival(number=2, data=b"never stored")
    )
    path = archive.blobs.local_path(ref)
    assert path is not None
    path.write_bytes(b"wrong")

    codes = []
    for indexed in (changed, lost):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _fetched(archive, indexed.held.instance_id)
        codes.append((caught.value.code(), reason(caught.value)))

    assert codes == [(grpc.StatusCode.DATA_LOSS, "ERROR_REASON_BLOB_CORRUPT")] * 2


@pytest.mark.parametrize("offset", [-1, 6])
async def test_an_offset_outside_of_the_bytes_is_refused(archive: Archive, offset: int) -> None:
    (indexed,) = await archive.add(arrival(data=b"bytes"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _fetched(archive, indexed.held.instance_id, offset)

    assert reason(caught.value) == "ERROR_REASON_INVALID_FIELD"


async def test_an_unknown_instance_is_not_found(archive: Archive) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _fetched(archive, new_id())

    assert reason(caught.value) == "ERROR_REASON_INSTANCE_NOT_FOUND"


async def test_only_blobs_of_the_studys_results_are_fetched(archive: Archive) -> None:
    (mine, other) = await archive.add(arrival(), arrival(study("1.2.2")))
    ref = await archive.blobs.put_bytes(b"result", "application/pdf")
    archive.results.blobs[mine.held.study_id, ref.sha256] = ref

    async def fetch(study_id: str, sha256: str) -> bytes:
        request = pb.FetchResultRequest(study_id=study_id, sha256=sha256)
        return b"".join([chunk.data async for chunk in archive.stub.FetchResult(request)])

    assert await fetch(mine.held.study_id, ref.sha256) == b"result"
    for study_id, sha256, expected in (
        (other.held.study_id, ref.sha256, "ERROR_REASON_BLOB_NOT_FOUND"),
        (new_id(), ref.sha256, "ERROR_REASON_STUDY_NOT_FOUND"),
        (mine.held.study_id, "../../etc/passwd", "ERROR_REASON_INVALID_FIELD"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await fetch(study_id, sha256)
        assert reason(caught.value) == expected

"""Locating instances by their UIDs, over a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from services.coordinator.archive.arrival import SeriesAttributes
from services.runtime.client import error_info
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive

pytestmark = pytest.mark.postgres

_SYNTAX = "1.2.840.10008.1.2.4.90"


async def located(archive: Archive, **wanted: Any) -> list[pb.LocatedInstance]:
    request = pb.LocateInstancesRequest(**wanted)
    return [one async for batch in archive.stub.LocateInstances(request) for one in batch.instances]


def _series(uid: str, number: int | None) -> SeriesAttributes:
    return SeriesAttributes(uid, "CT", "", number, "")


async def test_instances_come_by_series_number_then_instance_number(archive: Archive) -> None:
    other = study("1.2.2", patient_id_text="P2")
    await archive.add(
        *(arrival(series=_series("1.2.1.7", None), sop_instance_uid=f"1.7.{n}") for n in (1, 2)),
        *(
            arrival(
                series=_series("1.2.1.9", 2),
                number=number,
                sop_instance_uid=f"1.9.{number or 0}",
                transfer_syntax_uid=_SYNTAX,
                number_of_frames=3,
            )
            for number in (None, 12, 1, 2)
        ),
        *(arrival(series=_series("1.2.1.8", 1), sop_instance_uid=f"1.8.{n}") for n in (1, 2)),
        arrival(other),
    )

    async def uids(**wanted: Any) -> list[str]:
        return [one.sop_instance_uid for one in await located(archive, **wanted)]

    everything = await located(archive, study_instance_uids=["1.2.1"])

    ordered = ["1.8.1", "1.8.2", "1.9.1", "1.9.2", "1.9.12", "1.9.0", "1.7.1", "1.7.2"]
    assert [one.sop_instance_uid for one in everything] == ordered
    assert everything[2].transfer_syntax_uid == _SYNTAX
    assert everything[2].number_of_frames == 3
    assert everything[2].blob.media_type == "application/dicom"
    assert (everything[2].study_instance_uid, everything[2].series_instance_uid) == (
        "1.2.1",
        "1.2.1.9",
    )
    assert await uids(sop_instance_uids=[*reversed(ordered), "9.9"]) == ordered
    assert await uids(series_instance_uids=["1.2.1.9"], sop_instance_uids=ordered) == ordered[2:6]
    assert await uids(study_instance_uids=["1.2.2"], sop_instance_uids=ordered) == []
    assert await uids(series_instance_uids=["1.2.1.7", "1.2.1.8"]) == [*ordered[:2], *ordered[6:]]
    assert len(await uids(study_instance_uids=["1.2.1", "1.2.2"])) == 9
    assert len(await uids(patient_id="P2")) == 1
    assert await uids(patient_id="P2", study_instance_uids=["1.2.1"]) == []
    assert await uids(patient_id="P%") == []


async def test_a_large_series_comes_in_batches_of_a_thousand(archive: Archive) -> None:
    numbered = [arrival(number=n % 1100, sop_instance_uid=f"1.5.{n}") for n in range(2200)]
    without = [arrival(number=None, sop_instance_uid=f"1.6.{n}") for n in range(1001)]
    small = [arrival(modality="SR", number=n) for n in range(3)]
    await archive.add(*without, *numbered, *small)

    request = pb.LocateInstancesRequest(study_instance_uids=["1.2.1"])
    batches = [list(batch.instances) async for batch in archive.stub.LocateInstances(request)]
    uids = [one.sop_instance_uid for batch in batches for one in batch]

    assert max(map(len, batches)) == 1000
    assert len(uids) == len(set(uids)) == 3204
    of_ct = [uid for uid in uids if uid.startswith(("1.5.", "1.6."))]
    assert of_ct[-1001:] == [one.sop_instance_uid for one in without]


async def test_rows_of_an_earlier_version_are_located_by_their_attributes(archive: Archive) -> None:
    index = InstanceAttributes(transfer_syntax_uid=_SYNTAX, number_of_frames=7)
    await archive.add(arrival(attributes=index.SerializeToString()))
    await archive.pool.execute(
        "UPDATE archive.instance SET transfer_syntax_uid = NULL, number_of_frames = NULL"
    )

    (by_study,) = await located(archive, study_instance_uids=["1.2.1"])
    (by_uid,) = await located(archive, sop_instance_uids=[by_study.sop_instance_uid])

    assert by_study == by_uid
    assert (by_study.transfer_syntax_uid, by_study.number_of_frames) == (_SYNTAX, 7)


async def test_lists_that_break_a_rule_are_named(archive: Archive) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "study_instance_uids"),
        ({"study_instance_uids": ["1.2"] * 1001}, "study_instance_uids"),
        ({"series_instance_uids": [""]}, "series_instance_uids"),
        ({"sop_instance_uids": ["1.2"] * 10_001}, "sop_instance_uids"),
        ({"patient_id": "a\0"}, "patient_id"),
    ]
    named = []
    for wanted, _ in wrong:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await located(archive, **wanted)
        info = error_info(caught.value)
        assert info is not None
        named.append((wanted, info.metadata["field"]))

    assert named == wrong
    assert await located(archive, study_instance_uids=["9.9"]) == []

"""Patients: history, issuers, merges that can be undone, and studies that mix two of them up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2 as pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as pb_grpc
from services.coordinator.archive.service import ArchiveService
from services.runtime.client import error_info
from services.runtime.ids import new_id
from tests.services.coordinator.archive.arrivals import arrival, study
from tests.services.coordinator.archive.conftest import Archive
from tests.services.coordinator.archive.test_query import PATIENT, STUDY, query, uids, values
from tests.support.mesh import RunningServer, running_server

pytestmark = pytest.mark.postgres

_READ, _ADMIN = Permission.PERMISSION_ARCHIVE_READ, Permission.PERMISSION_ARCHIVE_ADMIN


@pytest.fixture
async def server(archive: Archive, tmp_path: Path) -> AsyncIterator[RunningServer]:
    folder = tmp_path / "admin"
    folder.mkdir()
    service = ArchiveService(archive.store, archive.blobs, archive.results)
    async with running_server(
        folder, lambda server: pb_grpc.add_ArchiveServiceServicer_to_server(service, server)
    ) as server:
        yield server


@pytest.fixture
def admin(server: RunningServer) -> pb_grpc.ArchiveServiceAsyncStub:
    return pb_grpc.ArchiveServiceStub(server.channel(_READ, _ADMIN, subject="anna"))


async def _key(archive: Archive, patient_id: str, issuer: str = "") -> str:
    identity = pb.PatientIdentity(patient_id=patient_id, issuer_of_patient_id=issuer)
    reply = await archive.stub.GetPatient(pb.GetPatientRequest(identity=identity))
    return next(one.patient_key for one in reply.identities if one.patient_id == patient_id)


async def _history(archive: Archive, key: str) -> pb.GetPatientResponse:
    return await archive.stub.GetPatient(pb.GetPatientRequest(patient_key=key))


async def _four_studies(archive: Archive) -> None:
    for number, (patient_id, issuer) in enumerate((("A", ""), ("B", ""), ("A", "H"), ("C", ""))):
        one = study(
            f"1.2.{number}",
            patient_id_text=patient_id,
            issuer_of_patient_id=issuer,
            patient_name=f"Name^{patient_id}{issuer}",
            study_date=f"2026010{9 - number}",
        )
        await archive.add(arrival(one))


async def test_a_merge_joins_histories_and_is_undone_without_a_trace_in_them(
    archive: Archive, admin: pb_grpc.ArchiveServiceAsyncStub
) -> None:
    await _four_studies(archive)
    a, b, c = [await _key(archive, name) for name in "ABC"]
    before = [(await _history(archive, key)).studies for key in (a, b, c)]

    async def merge(merged: str, surviving: str) -> pb.PatientMerge:
        request = pb.MergePatientsRequest(
            merged_key=merged, surviving_key=surviving, reason="Same person, registered twice"
        )
        return (await admin.MergePatients(request)).merge

    first = await merge(a, b)
    again = await merge(a, b)
    second = await merge(b, c)
    history = await _history(archive, a)

    assert first == again
    assert (first.merged_by, first.unmerged_by) == ("anna", "")
    assert history == await _history(archive, c)
    assert history.patient.patient_id == "C"
    assert history.patient.patient_name == "Name^C"
    assert history.patient.study_count == 3
    assert [one.patient_id for one in history.identities] == ["C", "A", "B"]
    assert [one.study_instance_uid for one in history.studies] == ["1.2.0", "1.2.1", "1.2.3"]
    assert [one.merge_id for one in history.merges] == [second.merge_id, first.merge_id]
    # What is asked for by any of the ids is found; what was sent stays as it was sent.
    assert await uids(archive, values("PatientID", "C")) == ["1.2.3", "1.2.1", "1.2.0"]
    assert await uids(archive, values("PatientID", "A")) == ["1.2.3", "1.2.2", "1.2.1", "1.2.0"]
    issued = [values("PatientID", "A"), values("IssuerOfPatientID", "H")]
    assert await uids(archive, *issued) == ["1.2.2"]
    rows = [row.patient for row in await query(archive, PATIENT, values("PatientID", "B"))]
    assert [(row.patient_id, row.study_count) for row in rows] == [("C", 3)]
    listed = await archive.stub.ListStudies(pb.ListStudiesRequest(patient_key=a))
    assert len(listed.studies) == 3
    located = [
        one.study_instance_uid
        async for batch in archive.stub.LocateInstances(pb.LocateInstancesRequest(patient_id="B"))
        for one in batch.instances
    ]
    assert sorted(located) == ["1.2.0", "1.2.1", "1.2.3"]

    undone = (await admin.UnmergePatients(pb.UnmergePatientsRequest(merged_key=b))).merge

    assert (undone.merge_id, undone.unmerged_by) == (second.merge_id, "anna")
    assert undone.HasField("unmerge_time")
    assert (await _history(archive, a)).patient.patient_id == "B"
    assert (await _history(archive, c)).studies == before[2]
    await admin.UnmergePatients(pb.UnmergePatientsRequest(merged_key=a))
    assert [(await _history(archive, key)).studies for key in (a, b, c)] == before
    assert await uids(archive, values("PatientID", "B")) == ["1.2.1"]


async def test_the_same_id_of_two_issuers_is_two_patients(archive: Archive) -> None:
    await _four_studies(archive)

    ours, theirs = await _key(archive, "A"), await _key(archive, "A", "H")

    assert ours != theirs
    assert [s.study_instance_uid for s in (await _history(archive, theirs)).studies] == ["1.2.2"]
    assert len(await query(archive, PATIENT, values("PatientID", "A"))) == 2
    (row,) = await query(archive, STUDY, values("StudyInstanceUID", "1.2.2"))
    assert row.study.patient_key == theirs


async def test_merges_that_make_no_sense_are_refused_and_allowed_ones_audited(
    archive: Archive, admin: pb_grpc.ArchiveServiceAsyncStub, server: RunningServer
) -> None:
    await _four_studies(archive)
    a, b, c = [await _key(archive, name) for name in "ABC"]
    request = pb.MergePatientsRequest(merged_key=a, surviving_key=b, reason="twice")
    await admin.MergePatients(request)
    wrong = [
        ((b, b, "twice"), "ERROR_REASON_INVALID_FIELD"),
        ((b, a, "twice"), "ERROR_REASON_INVALID_FIELD"),
        ((a, c, "twice"), "ERROR_REASON_INVALID_FIELD"),
        ((c, b, ""), "ERROR_REASON_INVALID_FIELD"),
        ((c, b, "x" * 257), "ERROR_REASON_INVALID_FIELD"),
        ((c, "A", "twice"), "ERROR_REASON_INVALID_FIELD"),
        ((c, new_id(), "twice"), "ERROR_REASON_PATIENT_NOT_FOUND"),
    ]
    reasons = []
    for (merged, surviving, reason), _ in wrong:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await admin.MergePatients(
                pb.MergePatientsRequest(merged_key=merged, surviving_key=surviving, reason=reason)
            )
        info = error_info(caught.value)
        assert info is not None
        reasons.append(((merged, surviving, reason), info.reason))
    with pytest.raises(grpc.aio.AioRpcError) as denied:
        await pb_grpc.ArchiveServiceStub(server.channel(_READ)).MergePatients(request)
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await _history(archive, new_id())

    assert reasons == wrong
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    assert server.trail.entries[0].object_id == a
    assert not (await admin.UnmergePatients(pb.UnmergePatientsRequest(merged_key=c))).HasField(
        "merge"
    )


async def test_another_patient_under_a_known_study_is_flagged_once(archive: Archive) -> None:
    await archive.add(arrival())
    other = study(patient_id_text="P2")
    await archive.add(arrival(other, number=2), arrival(other, number=3))
    await archive.add(arrival(study(issuer_of_patient_id="H"), number=4))
    await archive.add(arrival(number=5))

    (row,) = await query(archive, STUDY)
    events = await archive.pool.fetch(
        "SELECT study_id::text FROM events.event WHERE type = $1", "PATIENT_MISMATCH"
    )

    assert row.study.patient_mismatch_count == 3
    assert row.study.patient_id == "P1"
    assert row.study.instance_count == 5
    assert [event["study_id"] for event in events] == [row.study.study_id]

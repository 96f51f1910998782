"""Orthanc as a peer: what we ask of it over a whole stack, by DIMSE and by DICOMweb."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.dicomweb.v1 import dicomweb_client_service_pb2 as web_pb
from heimdallr.dimse.v1 import dimse_service_pb2 as pb
from heimdallr.peers.v1 import peers_service_pb2 as peers_pb
from services.runtime.client import MeshChannel
from tests.integration.peers import (
    Exchange,
    count_of,
    dimse_address,
    drained,
    evidence_of,
    refused,
    sent_to_us,
    written,
)
from tests.support.dcmtk import require_dcmtk
from tests.support.orthanc import RunningOrthanc, require_orthanc
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.orthanc, pytest.mark.dcmtk]


@pytest.fixture(scope="module")
def orthanc(stack: RunningStack) -> Iterator[RunningOrthanc]:
    require_dcmtk()
    require_orthanc()
    us = {"heimdallr": ("HEIMDALLR", "127.0.0.1", stack.dicom_port)}
    with RunningOrthanc(modalities=us) as running:
        yield running


@pytest.fixture
async def exchange(channel: MeshChannel, orthanc: RunningOrthanc) -> AsyncIterator[Exchange]:
    found = Exchange(channel)
    await found.register(
        "orthanc",
        dimse=dimse_address(orthanc.ae_title, orthanc.dicom_port),
        dicomweb=peers_pb.DicomWebAddress(url=orthanc.dicomweb_url),
    )
    yield found
    await found.forget("orthanc")


def given_to(orthanc: RunningOrthanc, folder: Path, count: int = 3) -> str:
    study_uid, paths = written(folder, count)
    for path in paths:
        orthanc.post("/instances", path.read_bytes())
    return study_uid


async def test_it_answers_by_both_protocols(exchange: Exchange) -> None:
    echo = await exchange.dimse.EchoPeer(pb.EchoPeerRequest(name="orthanc"))
    web = await exchange.web.TestPeer(web_pb.TestPeerRequest(name="orthanc"))

    peer = (await exchange.peers.GetPeer(peers_pb.GetPeerRequest(name="orthanc"))).peer
    assert echo.succeeded, echo.text
    assert web.succeeded, web.text
    assert [(test.kind, test.succeeded) for test in peer.tests] == [
        ("dicomweb", True),
        ("echo", True),
    ]


@pytest.mark.parametrize("verification", [pb.VERIFICATION_COUNT, pb.VERIFICATION_COMMITMENT])
async def test_a_study_is_stored_and_verified(
    stack: RunningStack,
    exchange: Exchange,
    tmp_path: Path,
    verification: pb.Verification.ValueType,
) -> None:
    study_uid = sent_to_us(stack, tmp_path, 4)
    request = pb.StoreInstancesRequest(
        name="orthanc", study_instance_uids=[study_uid], verification=verification
    )

    last = (await drained(exchange.dimse.StoreInstances(request)))[-1]

    assert (last.total_count, last.stored_count, last.failed_count) == (4, 4, 0)
    assert last.verification.verified, last.verification.text
    assert last.verification.verified_count == 4


async def test_a_study_is_found(
    exchange: Exchange, orthanc: RunningOrthanc, tmp_path: Path
) -> None:
    study_uid = given_to(orthanc, tmp_path)
    request = pb.FindMatchesRequest(
        name="orthanc",
        model=pb.INFORMATION_MODEL_PATIENT_ROOT,
        level=pb.QUERY_LEVEL_STUDY,
        keys=[
            pb.Key(keyword="PatientID", value="GATEWAY-1"),
            pb.Key(keyword="StudyInstanceUID", value=study_uid),
            pb.Key(keyword="NumberOfStudyRelatedInstances"),
        ],
    )

    answers = await drained(exchange.dimse.FindMatches(request))

    [match] = [json.loads(text) for answer in answers for text in answer.matches]
    assert match["0020000D"]["Value"] == [study_uid]
    assert int(match["00201208"]["Value"][0]) == 3


async def test_a_study_is_fetched_by_c_get(
    exchange: Exchange, orthanc: RunningOrthanc, channel: MeshChannel, tmp_path: Path
) -> None:
    study_uid = given_to(orthanc, tmp_path, 4)
    keys = pb.RetrieveKeys(level=pb.QUERY_LEVEL_STUDY, study_instance_uids=[study_uid])

    request = pb.GetInstancesRequest(name="orthanc", keys=keys)
    last = (await drained(exchange.dimse.GetInstances(request)))[-1]

    assert (last.stored_count, last.known_count, last.failed_count) == (4, 0, 0)
    assert await count_of(channel, study_uid) == 4


async def test_a_study_is_moved_to_us(
    exchange: Exchange, orthanc: RunningOrthanc, channel: MeshChannel, tmp_path: Path
) -> None:
    study_uid = given_to(orthanc, tmp_path, 4)
    keys = pb.RetrieveKeys(level=pb.QUERY_LEVEL_STUDY, study_instance_uids=[study_uid])

    request = pb.MoveInstancesRequest(name="orthanc", keys=keys)
    last = (await drained(exchange.dimse.MoveInstances(request)))[-1]

    assert (last.completed_count, last.failed_count, last.remaining_count) == (4, 0, 0)
    assert await count_of(channel, study_uid) == 4


async def test_a_study_is_stored_over_http_and_counted(
    stack: RunningStack, exchange: Exchange, orthanc: RunningOrthanc, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path, 4)
    before = orthanc.instance_count()
    request = web_pb.StoreInstancesRequest(
        name="orthanc", study_instance_uids=[study_uid], verify_count=True
    )

    answers = await drained(exchange.web.StoreInstances(request))

    last = answers[-1]
    outcomes = [item.outcome for answer in answers for item in answer.instances]
    assert (last.total_count, last.stored_count, last.failed_count) == (4, 4, 0)
    assert outcomes == [web_pb.STORE_OUTCOME_STORED] * 4
    assert last.count.verified, last.count.text
    assert orthanc.instance_count() == before + 4


async def test_matches_of_a_search_come_as_dicom_json(
    exchange: Exchange, orthanc: RunningOrthanc, tmp_path: Path
) -> None:
    study_uid = given_to(orthanc, tmp_path, 5)

    async def found(level: web_pb.SearchLevel.ValueType, limit: int = 0) -> tuple[int, bool]:
        request = web_pb.SearchMatchesRequest(
            name="orthanc", level=level, study_instance_uid=study_uid, limit=limit
        )
        if level == web_pb.SEARCH_LEVEL_STUDY:
            request.study_instance_uid = ""
            request.keys.add(keyword="StudyInstanceUID", value=study_uid)
        answers = await drained(exchange.web.SearchMatches(request))
        matches = [json.loads(text) for answer in answers for text in answer.matches]
        assert all(match["0020000D"]["Value"] == [study_uid] for match in matches)
        return len(matches), answers[-1].truncated

    assert await found(web_pb.SEARCH_LEVEL_STUDY) == (1, False)
    assert await found(web_pb.SEARCH_LEVEL_SERIES) == (1, False)
    assert await found(web_pb.SEARCH_LEVEL_INSTANCE) == (5, False)
    assert await found(web_pb.SEARCH_LEVEL_INSTANCE, limit=3) == (3, True)


async def test_a_study_is_fetched_over_http(
    exchange: Exchange, orthanc: RunningOrthanc, channel: MeshChannel, tmp_path: Path
) -> None:
    study_uid = given_to(orthanc, tmp_path, 4)
    request = web_pb.RetrieveInstancesRequest(name="orthanc", study_instance_uid=study_uid)

    first = (await drained(exchange.web.RetrieveInstances(request)))[-1]
    again = (await drained(exchange.web.RetrieveInstances(request)))[-1]

    assert (first.stored_count, first.known_count, first.failed_count) == (4, 0, 0)
    assert (again.stored_count, again.known_count, again.failed_count) == (0, 4, 0)
    assert first.received_bytes > sum(path.stat().st_size for path in tmp_path.glob("*.dcm"))
    assert await evidence_of(channel, study_uid) == archive_pb.EVIDENCE_COUNT
    assert await count_of(channel, study_uid) == 4


async def test_what_is_not_there_is_its_refusal(exchange: Exchange) -> None:
    request = web_pb.RetrieveInstancesRequest(name="orthanc", study_instance_uid="1.2.3.4")

    error = await refused(exchange.web.RetrieveInstances(request))

    assert error.reason == "ERROR_REASON_PEER_REFUSED"
    assert error.metadata["status"] == "404"

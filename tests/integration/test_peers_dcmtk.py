"""DCMTK's providers as peers: what we ask of them over a whole stack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
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
from tests.support.dcmtk import dcmtk as run_dcmtk
from tests.support.dcmtk import require_dcmtk
from tests.support.dcmtk_peers import Provider, QueryRetrieveArchive
from tests.support.peer_certificates import Authority
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.dcmtk]

CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
def archive(stack: RunningStack) -> Iterator[QueryRetrieveArchive]:
    require_dcmtk()
    with QueryRetrieveArchive(destinations={"HEIMDALLR": stack.dicom_port}) as running:
        yield running


@pytest.fixture
async def exchange(channel: MeshChannel, archive: QueryRetrieveArchive) -> AsyncIterator[Exchange]:
    found = Exchange(channel)
    await found.register("archive", dimse=dimse_address("ARCHIVE", archive.port))
    yield found
    await found.forget("archive")


def given_to(archive: QueryRetrieveArchive, folder: Path, count: int = 3) -> str:
    study_uid, paths = written(folder, count)
    command = ["-aec", "ARCHIVE", "127.0.0.1", str(archive.port), *map(str, paths)]
    assert run_dcmtk("storescu", *command).returncode == 0
    return study_uid


async def test_a_peer_that_answers_is_told_and_remembered(exchange: Exchange) -> None:
    answer = await exchange.dimse.EchoPeer(pb.EchoPeerRequest(name="archive"))

    peer = (await exchange.peers.GetPeer(peers_pb.GetPeerRequest(name="archive"))).peer
    assert answer.succeeded, answer.text
    assert [(test.kind, test.succeeded) for test in peer.tests] == [("echo", True)]


async def test_a_peer_that_does_not_answer_is_an_outcome_with_a_reason(
    exchange: Exchange, archive: QueryRetrieveArchive
) -> None:
    await exchange.register("stranger", dimse=dimse_address("SOMEBODY", archive.port))

    answer = await exchange.dimse.EchoPeer(pb.EchoPeerRequest(name="stranger"))

    peer = (await exchange.peers.GetPeer(peers_pb.GetPeerRequest(name="stranger"))).peer
    assert not answer.succeeded
    assert "AE title" in answer.text
    assert [(test.succeeded, test.text) for test in peer.tests] == [(False, answer.text)]


async def test_a_study_is_sent_and_counted(
    stack: RunningStack, exchange: Exchange, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path, 5)

    request = pb.StoreInstancesRequest(
        name="archive", study_instance_uids=[study_uid], verification=pb.VERIFICATION_COUNT
    )
    answers = await drained(exchange.dimse.StoreInstances(request))

    last = answers[-1]
    outcomes = {item.outcome for answer in answers for item in answer.instances}
    assert (last.total_count, last.stored_count, last.failed_count) == (5, 5, 0)
    assert outcomes == {pb.STORE_OUTCOME_STORED}
    assert last.verification.verified, last.verification.text
    assert last.verification.verified_count == 5


async def test_a_peer_that_keeps_nothing_is_found_out(
    stack: RunningStack, exchange: Exchange, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path)
    with Provider(["--ignore"]) as liar:
        await exchange.register("liar", dimse=dimse_address("LIAR", liar.port))
        request = pb.StoreInstancesRequest(
            name="liar", study_instance_uids=[study_uid], verification=pb.VERIFICATION_COUNT
        )

        last = (await drained(exchange.dimse.StoreInstances(request)))[-1]

    assert last.stored_count == 3
    assert not last.verification.verified


async def test_a_peer_that_takes_implicit_vr_alone_gets_it(
    stack: RunningStack, exchange: Exchange, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path)
    with Provider(["+xi"]) as plain:
        await exchange.register("plain", dimse=dimse_address("PLAIN", plain.port))
        request = pb.StoreInstancesRequest(name="plain", study_instance_uids=[study_uid])

        last = (await drained(exchange.dimse.StoreInstances(request)))[-1]

        kept = [run_dcmtk("dcmdump", "+P", "0002,0010", str(path)) for path in plain.files]
    assert not last.failed_count, last
    assert last.stored_count == len(kept) == 3
    assert all("LittleEndianImplicit" in dump.stdout for dump in kept)


async def test_matches_come_as_dicom_json(
    exchange: Exchange, archive: QueryRetrieveArchive, tmp_path: Path
) -> None:
    study_uid = given_to(archive, tmp_path)
    request = pb.FindMatchesRequest(
        name="archive",
        level=pb.QUERY_LEVEL_STUDY,
        keys=[
            pb.Key(keyword="StudyInstanceUID", value=study_uid),
            pb.Key(keyword="PatientName", value="PHANTOM*"),
            pb.Key(keyword="StudyDate", value="20200101-20301231"),
        ],
    )

    answers = await drained(exchange.dimse.FindMatches(request))

    [match] = [text for answer in answers for text in answer.matches]
    assert study_uid in match
    assert "PHANTOM^GATEWAY" in match
    assert not answers[-1].truncated


async def test_matches_end_at_the_limit(
    exchange: Exchange, archive: QueryRetrieveArchive, tmp_path: Path
) -> None:
    study_uid = given_to(archive, tmp_path, 12)
    series = pb.FindMatchesRequest(
        name="archive",
        level=pb.QUERY_LEVEL_SERIES,
        keys=[pb.Key(keyword="StudyInstanceUID", value=study_uid)],
    )
    [answer] = await drained(exchange.dimse.FindMatches(series))
    series_uid = answer.matches[0].partition('"0020000E"')[2].split('"')[7]
    keys = [pb.Key(keyword="StudyInstanceUID", value=study_uid)]
    keys.append(pb.Key(keyword="SeriesInstanceUID", value=series_uid))
    request = pb.FindMatchesRequest(name="archive", level=pb.QUERY_LEVEL_IMAGE, keys=keys, limit=5)

    answers = await drained(exchange.dimse.FindMatches(request))

    assert sum(len(answer.matches) for answer in answers) == 5
    assert answers[-1].truncated


async def test_a_study_is_fetched_over_one_association(
    exchange: Exchange, archive: QueryRetrieveArchive, channel: MeshChannel, tmp_path: Path
) -> None:
    study_uid = given_to(archive, tmp_path, 4)
    keys = pb.RetrieveKeys(level=pb.QUERY_LEVEL_STUDY, study_instance_uids=[study_uid])
    request = pb.GetInstancesRequest(name="archive", keys=keys)

    first = (await drained(exchange.dimse.GetInstances(request)))[-1]
    count = await count_of(channel, study_uid)
    again = (await drained(exchange.dimse.GetInstances(request)))[-1]

    assert (first.stored_count, first.known_count, first.failed_count) == (4, 0, 0)
    assert count == 4
    assert (again.stored_count, again.known_count, again.remaining_count) == (0, 4, 0)
    assert await evidence_of(channel, study_uid) == archive_pb.EVIDENCE_COUNT


async def test_a_study_is_moved_to_us(
    exchange: Exchange, archive: QueryRetrieveArchive, channel: MeshChannel, tmp_path: Path
) -> None:
    study_uid = given_to(archive, tmp_path, 4)
    keys = pb.RetrieveKeys(level=pb.QUERY_LEVEL_STUDY, study_instance_uids=[study_uid])
    request = pb.MoveInstancesRequest(name="archive", keys=keys)

    last = (await drained(exchange.dimse.MoveInstances(request)))[-1]

    assert (last.completed_count, last.failed_count, last.remaining_count) == (4, 0, 0)
    assert await count_of(channel, study_uid) == 4


async def test_a_destination_that_the_peer_does_not_know_is_its_refusal(
    exchange: Exchange, archive: QueryRetrieveArchive, tmp_path: Path
) -> None:
    study_uid = given_to(archive, tmp_path)
    await exchange.register("third", dimse=dimse_address("THIRD", archive.port + 1))
    keys = pb.RetrieveKeys(level=pb.QUERY_LEVEL_STUDY, study_instance_uids=[study_uid])
    request = pb.MoveInstancesRequest(name="archive", keys=keys, destination="third")

    error = await refused(exchange.dimse.MoveInstances(request))

    assert error.reason == "ERROR_REASON_PEER_REFUSED"
    assert error.metadata["status"] == "A801"


async def test_tls_is_spoken_both_ways_and_verified(
    stack: RunningStack, exchange: Exchange, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path)
    authority, stranger = Authority.create(), Authority.create("Somebody else")
    certificate, key, ca = authority.files(tmp_path, "peer")
    ours = dict(zip(("tls_certificate_pem", "tls_key_pem"), authority.issue("us"), strict=True))
    with Provider(["+tls", str(key), str(certificate), "+cf", str(ca), "-rc"]) as secure:

        async def outcome(ca_pem: str, **shown: str) -> tuple[bool, str]:
            await exchange.register(
                "secure",
                dimse=dimse_address("SECURE", secure.port, tls=True, tls_ca_pem=ca_pem),
                credentials=peers_pb.PeerCredentials(**shown),
            )
            answer = await exchange.dimse.EchoPeer(pb.EchoPeerRequest(name="secure"))
            return answer.succeeded, answer.text

        of_a_stranger = await outcome(stranger.pem, **ours)
        without_ours = await outcome(authority.pem)
        good = await outcome(authority.pem, **ours)
        request = pb.StoreInstancesRequest(name="secure", study_instance_uids=[study_uid])
        last = (await drained(exchange.dimse.StoreInstances(request)))[-1]

    assert of_a_stranger == (False, "the peer cannot be reached: TLS is not agreed on")
    assert not without_ours[0]
    assert good[0], good[1]
    assert last.stored_count == 3


async def test_what_is_outside_gets_nothing_of_ours(
    stack: RunningStack, exchange: Exchange, archive: QueryRetrieveArchive, tmp_path: Path
) -> None:
    study_uid = sent_to_us(stack, tmp_path)
    address = dimse_address("ARCHIVE", archive.port, calling_ae_title="OUTSIDER")
    await exchange.forget("archive")
    await exchange.register("outside", inside=False, dimse=address)
    try:
        keys = pb.RetrieveKeys(level=pb.QUERY_LEVEL_STUDY, study_instance_uids=[study_uid])
        by_name = pb.Key(keyword="PatientName", value="PHANTOM*")
        study = pb.QUERY_LEVEL_STUDY
        errors = [
            await refused(
                exchange.dimse.StoreInstances(
                    pb.StoreInstancesRequest(name="outside", study_instance_uids=[study_uid])
                )
            ),
            await refused(
                exchange.dimse.FindMatches(
                    pb.FindMatchesRequest(name="outside", level=study, keys=[by_name])
                )
            ),
            await refused(
                exchange.dimse.MoveInstances(
                    pb.MoveInstancesRequest(name="outside", keys=keys, destination="outside")
                )
            ),
        ]
        by_uid = pb.Key(keyword="StudyInstanceUID", value=study_uid)
        answers = await drained(
            exchange.dimse.FindMatches(
                pb.FindMatchesRequest(name="outside", level=study, keys=[by_uid])
            )
        )
    finally:
        await exchange.forget("outside")

    assert {error.reason for error in errors} == {"ERROR_REASON_PEER_OUTSIDE"}
    assert {error.code for error in errors} == {grpc.StatusCode.FAILED_PRECONDITION}
    assert [text for answer in answers for text in answer.matches] == []

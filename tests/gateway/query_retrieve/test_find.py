"""C-FIND through a real socket, over the real contracts of archive and registry."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import pytest

from gateway.dimse import pdu
from heimdallr.archive.v1 import archive_service_pb2 as archive
from heimdallr.imaging.v1.instance_attributes_pb2 import InstanceAttributes
from heimdallr.peers.v1 import peers_service_pb2 as peers
from tests.gateway.conftest import RunningGateway, Start, until
from tests.support.requester import EXPLICIT, IMPLICIT, Message, Requester, identifier

T = TypeVar("T")
FIND = 0x0020
PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY = archive.Study(
    study_instance_uid="1.2.3",
    patient_id="4711",
    patient_name="Müller^Änne",
    study_date="20260102",
    study_time="101500",
    accession_number="A1",
    study_description="Thorax",
    modalities=["CT", "SR"],
    series_count=2,
    instance_count=40,
)
SERIES = archive.Series(
    series_instance_uid="1.2.3.4",
    instance_count=20,
    attributes=InstanceAttributes(
        series_instance_uid="1.2.3.4",
        modality="CT",
        series_number=0,
        series_date="20260102",
        manufacturer="ACME",
    ),
)
INSTANCE = archive.Instance(
    attributes=InstanceAttributes(
        sop_instance_uid="1.2.3.4.5",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        rows=512,
        image_position_mm=[1.5, -2, 0],
    )
)
ROW = archive.QueryRow(study=STUDY, series=SERIES, instance=INSTANCE)


async def asked(
    gateway: RunningGateway,
    work: Callable[[Requester], T],
    sop_class: str = STUDY_ROOT,
    syntax: str = EXPLICIT,
    request: bytes = b"",
) -> T:
    """Run blocking work over an association of a registered peer."""
    gateway.coordinator.peers.add("TESTSCU")

    def run() -> T:
        with Requester(gateway.port) as scu:
            if request:
                scu.send(request)
                scu.receive()
            else:
                scu.associate([(1, sop_class, (syntax,))])
            return work(scu)

    return await asyncio.to_thread(run)


def finding(
    sop_class: str = STUDY_ROOT, syntax: str = EXPLICIT, **keys: Any
) -> Callable[[Requester], list[Message]]:
    """Return the work of one query."""

    def work(scu: Requester) -> list[Message]:
        scu.request(FIND, sop_class, identifier(syntax, **keys))
        return scu.answers()

    return work


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
async def test_a_study_is_answered_with_the_keys_that_were_asked_for(
    start_gateway: Start, syntax: str
) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[archive.QueryRow(study=STUDY)]]

    work = finding(
        STUDY_ROOT,
        syntax,
        QueryRetrieveLevel="STUDY",
        PatientName="M*",
        StudyDate="20260101-",
        StudyInstanceUID="",
        ModalitiesInStudy="",
        NumberOfStudyRelatedInstances="",
    )
    pending, last = await asked(gateway, work, syntax=syntax)

    found = pending.decoded(syntax)
    assert (pending.status, last.status, last.data_set) == (0xFF00, 0x0000, b"")
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.QueryRetrieveLevel == "STUDY"
    assert found.RetrieveAETitle == "HEIMDALLR"
    assert str(found.PatientName) == "Müller^Änne"
    assert (found.StudyInstanceUID, found.StudyDate) == ("1.2.3", "20260102")
    assert list(found.ModalitiesInStudy) == ["CT", "SR"]
    assert found.NumberOfStudyRelatedInstances == 40
    assert "AccessionNumber" not in found
    [query] = gateway.coordinator.archive.queries
    assert query.level == archive.QUERY_LEVEL_STUDY
    assert {m.keyword: m.WhichOneof("condition") for m in query.matches} == {
        "PatientName": "wildcard",
        "StudyDate": "range",
    }


async def test_keys_of_all_levels_down_to_the_instance_are_answered(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW]]

    work = finding(
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        SOPInstanceUID="",
        SeriesNumber="",
        Modality="",
        Manufacturer="",
        Rows=None,
        ImagePositionPatient=None,
        NumberOfFrames=None,
        InstanceAvailability="",
    )
    pending, last = await asked(gateway, work)

    found = pending.decoded()
    assert (pending.status, last.status) == (0xFF00, 0x0000)
    assert found.SOPInstanceUID == "1.2.3.4.5"
    assert (found.SeriesNumber, found.Modality, found.Manufacturer) == (0, "CT", "ACME")
    assert (found.Rows, list(found.ImagePositionPatient)) == (512, [1.5, -2, 0])
    assert found.NumberOfFrames is None
    assert found.InstanceAvailability == "ONLINE"


async def test_a_patient_is_found_in_the_patient_root(start_gateway: Start) -> None:
    gateway = await start_gateway()
    patient = archive.Patient(patient_id="4711", patient_name="A^B", study_count=3)
    gateway.coordinator.archive.batches = [[archive.QueryRow(patient=patient)]]

    work = finding(
        PATIENT_ROOT,
        QueryRetrieveLevel="PATIENT",
        PatientID="",
        PatientName="",
        NumberOfPatientRelatedStudies="",
    )
    pending, _ = await asked(gateway, work, PATIENT_ROOT)

    found = pending.decoded()
    assert (found.PatientID, found.NumberOfPatientRelatedStudies) == ("4711", 3)
    assert gateway.coordinator.archive.queries[0].level == archive.QUERY_LEVEL_PATIENT
    assert gateway.coordinator.audit.outcomes() == [("/dicom.Dimse/C_FIND", "ae.TESTSCU", "OK")]


async def test_a_key_that_we_do_not_know_comes_back_empty_and_is_told(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW]]

    work = finding(
        QueryRetrieveLevel="STUDY", StudyInstanceUID="", InstitutionName="X", OtherStudyNumbers=""
    )
    pending, last = await asked(gateway, work)

    assert (pending.status, last.status) == (0xFF01, 0x0000)
    assert pending.decoded().InstitutionName == ""
    assert not gateway.coordinator.archive.queries[0].matches


@pytest.mark.parametrize(
    ("sop_class", "keys"),
    [
        (STUDY_ROOT, {}),
        (STUDY_ROOT, {"QueryRetrieveLevel": "PATIENT"}),
        (STUDY_ROOT, {"QueryRetrieveLevel": "FRAME"}),
        (STUDY_ROOT, {"QueryRetrieveLevel": "SERIES"}),
        (STUDY_ROOT, {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ["1.2", "1.3"]}),
        (STUDY_ROOT, {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.2"}),
        (PATIENT_ROOT, {"QueryRetrieveLevel": "STUDY"}),
        (STUDY_ROOT, {"QueryRetrieveLevel": "STUDY", "StudyDate": ["20260101", "20260102"]}),
    ],
    ids=[
        "no level",
        "a level of another model",
        "no such level",
        "no study",
        "two studies",
        "no series",
        "no patient",
        "two dates",
    ],
)
async def test_an_identifier_that_does_not_fit_is_refused(
    start_gateway: Start, sop_class: str, keys: dict[str, Any]
) -> None:
    gateway = await start_gateway()

    [last] = await asked(gateway, finding(sop_class, PatientName="", **keys), sop_class)

    assert last.status == 0xA900
    assert last.text(0x0902)
    assert gateway.coordinator.archive.queries == []


async def test_keys_above_may_be_left_out_once_that_is_negotiated(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW]]
    uid = STUDY_ROOT.encode()
    option = pdu.encode_item(0x56, len(uid).to_bytes(2, "big") + uid + b"\x01\x00\x01")
    context = pdu.encode_item(
        0x20,
        b"\x01\0\0\0" + pdu.encode_item(0x30, uid) + pdu.encode_item(0x40, EXPLICIT.encode()),
    )
    user = pdu.encode_item(0x51, (16384).to_bytes(4, "big")) + option
    items = pdu.encode_item(0x10, b"1.2.840.10008.3.1.1.1") + context + pdu.encode_item(0x50, user)
    titles = b"HEIMDALLR".ljust(16) + b"TESTSCU".ljust(16)
    request = pdu.encode(1, b"\0\1\0\0" + titles + bytes(32) + items)
    answered: list[bytes] = []

    def work(scu: Requester) -> list[Message]:
        return finding(QueryRetrieveLevel="SERIES", SeriesInstanceUID="", PatientName="x")(scu)

    gateway.coordinator.peers.add("TESTSCU")

    def run() -> list[Message]:
        with Requester(gateway.port) as scu:
            scu.send(request)
            answered.append(scu.receive()[1])
            return work(scu)

    answers = await asyncio.to_thread(run)

    assert [a.status for a in answers] == [0xFF00, 0x0000]
    assert uid + b"\x01\x00\x01" in answered[0]
    assert gateway.coordinator.archive.queries[0].fuzzy_names


async def test_whoever_nobody_registered_is_told_nothing(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW]]

    def run() -> list[Message]:
        with Requester(gateway.port) as scu:
            scu.associate([(1, STUDY_ROOT, (EXPLICIT,))])
            return finding(QueryRetrieveLevel="STUDY", StudyInstanceUID="")(scu)

    [unknown] = await asyncio.to_thread(run)

    assert unknown.status == 0x0124
    assert gateway.coordinator.archive.queries == []
    assert gateway.coordinator.audit.outcomes() == [
        ("/dicom.Dimse/C_FIND", "ae.TESTSCU", "PERMISSION_DENIED")
    ]


@pytest.mark.parametrize(
    "spec",
    [{"trust_zone": peers.TRUST_ZONE_OUTSIDE}, {"dimse": {"tls": False}}],
    ids=["outside", "at another address"],
)
async def test_a_peer_that_is_not_inside_is_told_nothing(
    start_gateway: Start, spec: dict[str, Any]
) -> None:
    gateway = await start_gateway()
    gateway.coordinator.peers.add("TESTSCU", **spec)
    if "dimse" in spec:
        gateway.coordinator.peers.peers["TESTSCU"].spec.dimse.host = "192.0.2.1"

    def run() -> list[Message]:
        with Requester(gateway.port) as scu:
            scu.associate([(1, STUDY_ROOT, (EXPLICIT,))])
            return finding(QueryRetrieveLevel="STUDY", StudyInstanceUID="")(scu)

    [refused] = await asyncio.to_thread(run)

    assert refused.status == 0x0124
    assert gateway.coordinator.archive.queries == []


async def test_a_query_is_cancelled(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW] * 200] * 500

    def work(scu: Requester) -> int:
        scu.request(FIND, STUDY_ROOT, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))
        assert scu.message().status == 0xFF00
        scu.cancel()
        return scu.answers()[-1].status

    status = await asked(gateway, work)

    assert status == 0xFE00
    await until(lambda: gateway.coordinator.archive.ended == 1)
    assert gateway.coordinator.archive.sent < 500


async def test_a_client_that_stops_reading_stops_the_archive(start_gateway: Start) -> None:
    gateway = await start_gateway(pdu_timeout_s=1.0)
    rows = [archive.QueryRow(study=archive.Study(study_description="x" * 1000))] * 200
    gateway.coordinator.archive.batches = [rows] * 2_000  # 400 MB of answers

    def work(scu: Requester) -> int:
        keys = identifier(QueryRetrieveLevel="STUDY", StudyDescription="", StudyInstanceUID="")
        scu.request(FIND, STUDY_ROOT, keys)
        first = scu.message().status
        # The association ends although nothing is read.
        for _ in range(100):
            if gateway.coordinator.archive.ended:
                break
            time.sleep(0.1)
        return first

    assert await asked(gateway, work) == 0xFF00
    await until(lambda: gateway.coordinator.archive.ended == 1)
    assert gateway.coordinator.archive.sent < 200


async def test_a_peer_that_goes_away_stops_the_archive(start_gateway: Start) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.batches = [[ROW] * 200] * 5_000

    def work(scu: Requester) -> int:
        scu.request(FIND, STUDY_ROOT, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))
        return scu.message().status

    assert await asked(gateway, work) == 0xFF00
    await until(lambda: gateway.coordinator.archive.ended == 1)
    assert gateway.coordinator.archive.sent < 5_000


@pytest.mark.parametrize(
    ("code", "status"),
    [(grpc.StatusCode.UNAVAILABLE, 0xA700), (grpc.StatusCode.INVALID_ARGUMENT, 0xC000)],
)
async def test_an_archive_that_fails_is_a_failure(
    start_gateway: Start, code: grpc.StatusCode, status: int
) -> None:
    gateway = await start_gateway()
    gateway.coordinator.archive.failure = code

    [last] = await asked(gateway, finding(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))

    assert last.status == status


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x00\x52\x00CS\xff\xff",
        b"\x00\x00\x00\x00",
        b"\x08\x00\x52\x00XX\x02\x00ab",
        b"\x10\x00\x20\x00LO\x02\x00a " * 2,
        b"\x40\x00\x00\x01SQ\x00\x00\xff\xff\xff\xff" * 20,
        b"".join(b"\x09\x00" + i.to_bytes(2, "little") + b"LO\0\0" for i in range(16, 900)),
    ],
    ids=["cut", "group 0", "no such VR", "twice", "deep", "too many keys"],
)
async def test_an_identifier_that_is_no_data_set_is_refused(
    start_gateway: Start, data: bytes
) -> None:
    gateway = await start_gateway()

    def work(scu: Requester) -> tuple[int, int]:
        scu.request(FIND, STUDY_ROOT, data)
        broken = scu.message().status
        return broken, finding(QueryRetrieveLevel="STUDY", StudyInstanceUID="")(scu)[-1].status

    assert await asked(gateway, work) == (0xA900, 0x0000)


async def test_an_identifier_past_the_cap_is_refused_and_passed_over(start_gateway: Start) -> None:
    gateway = await start_gateway()
    huge = struct.pack("<HHL", 0x0010, 0x0010, 5 << 20) + bytes(5 << 20)

    def work(scu: Requester) -> tuple[int, int]:
        scu.request(FIND, STUDY_ROOT, huge)
        first = scu.message().status
        return first, finding(STUDY_ROOT, IMPLICIT, QueryRetrieveLevel="STUDY")(scu)[-1].status

    assert await asked(gateway, work, syntax=IMPLICIT) == (0xA700, 0x0000)


async def test_a_command_that_the_service_does_not_have_is_not_recognized(
    start_gateway: Start,
) -> None:
    gateway = await start_gateway()

    def work(scu: Requester) -> int:
        scu.request(0x0021, STUDY_ROOT, identifier(QueryRetrieveLevel="STUDY"))
        return scu.message().status

    assert await asked(gateway, work) == 0x0211

"""C-FIND through a real socket, over the real contracts of archive and registry."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.dimse import pdu
from heimdallr.archive.v1 import archive_service_pb2 as archive
from tests.gateway.conftest import Start
from tests.gateway.query_retrieve.asking import (
    ROW,
    STUDY,
    STUDY_ROOT,
    asked,
    finding,
)
from tests.support.requester import EXPLICIT, IMPLICIT, Message, Requester

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"


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

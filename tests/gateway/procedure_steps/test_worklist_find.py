"""The modality worklist by C-FIND: DCMTK's findscu and pynetdicom against us."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pynetdicom import AE

from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from services.runtime.client import ServiceCallError
from tests.gateway.procedure_steps.conftest import Door
from tests.services.coordinator.worklist.conftest import scheduled
from tests.support.dcmtk import dcmtk, require_dcmtk

pytestmark = pytest.mark.postgres
WORKLIST = "1.2.840.10008.5.1.4.31"


async def schedule(door: Door) -> None:
    first = scheduled("Müller^Jürgen=山田^太郎", step_id="S1")
    first.patient.patient_birth_date = "19700101"
    first.patient.patient_weight_kg = 71.5
    first.procedure.code.value = "71250"
    first.procedure.code.scheme = "C4"
    first.protocol_codes.add(value="P1", scheme="99X", meaning="Thorax")
    second = scheduled("DOE^JANE", patient_id="P2", accession="A2", station="MR1", modality="MR")
    for spec in (first, second):
        await door.worklist.CreateScheduledStep(pb.CreateScheduledStepRequest(spec=spec))


def query(**keys: str) -> Dataset:
    """Return an identifier that asks for what modalities ask for."""
    step = Dataset()
    for keyword in (
        "Modality",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepStatus",
    ):
        setattr(step, keyword, keys.pop(keyword, ""))
    step.ScheduledProtocolCodeSequence = []
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID"):
        setattr(dataset, keyword, keys.pop(keyword, ""))
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    dataset.PatientWeight = None
    dataset.RequestedProcedureCodeSequence = []
    dataset.ScheduledProcedureStepSequence = [step]
    return dataset


def find(port: int, asked: Dataset, *, title: str = "MODALITY") -> list[tuple[int, Dataset | None]]:
    """Return status and identifier of every answer, by pynetdicom."""
    ae = AE(title)
    ae.add_requested_context(WORKLIST)
    association = ae.associate("127.0.0.1", port)
    assert association.is_established
    answers = list(association.send_c_find(asked, WORKLIST))
    association.release()
    return [(status.Status, identifier) for status, identifier in answers]


async def found(door: Door, asked: Dataset) -> list[Dataset]:
    answers = await asyncio.to_thread(find, door.port, asked)
    assert answers[-1][0] == 0x0000
    assert {status for status, _ in answers[:-1]} <= {0xFF00}
    return [identifier for _, identifier in answers if identifier is not None]


async def test_an_answer_holds_what_was_asked_for_in_utf_8_with_its_sequences(door: Door) -> None:
    await schedule(door)

    (answer,) = await found(door, query(ScheduledStationAETitle="CT1"))

    (step,) = answer.ScheduledProcedureStepSequence
    assert answer.SpecificCharacterSet == "ISO_IR 192"
    assert answer.PatientName == "Müller^Jürgen=山田^太郎"
    assert answer.PatientWeight == 71.5
    assert answer.StudyInstanceUID.startswith("2.25.")
    assert answer.RequestedProcedureCodeSequence[0].CodeValue == "71250"
    assert step.ScheduledProcedureStepStartDate == "20260105"
    assert step.ScheduledProcedureStepStartTime == "093000"
    assert step.ScheduledProcedureStepStatus == "SCHEDULED"
    assert step.ScheduledProtocolCodeSequence[0].CodeMeaning == "Thorax"
    assert "PatientBirthDate" not in answer


async def test_keys_match_at_the_top_and_in_the_step(door: Door) -> None:
    await schedule(door)

    for keys, expected in (
        ({}, ["P1", "P2"]),
        ({"PatientName": "müller*"}, ["P1"]),
        ({"PatientName": "*=山田*"}, ["P1"]),
        ({"PatientID": "P2"}, ["P2"]),
        ({"Modality": "MR"}, ["P2"]),
        ({"ScheduledProcedureStepStartDate": "20260101-20260131"}, ["P1", "P2"]),
        ({"ScheduledProcedureStepStartDate": "20260106-"}, []),
        ({"AccessionNumber": "A?"}, ["P1", "P2"]),
    ):
        answers = await found(door, query(**keys))
        assert [answer.PatientID for answer in answers] == expected, keys


async def test_a_step_without_an_item_is_returned_whole(door: Door) -> None:
    await schedule(door)
    asked = query(PatientID="P1")
    asked.ScheduledProcedureStepSequence = []

    (answer,) = await found(door, asked)

    assert answer.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "CT1"


async def test_a_key_that_we_do_not_know_is_said_with_each_answer(door: Door) -> None:
    await schedule(door)
    asked = query(PatientID="P1")
    asked.PatientState = ""
    asked.ReferencedStudySequence = []

    answers = await asyncio.to_thread(find, door.port, asked)

    assert [status for status, _ in answers] == [0xFF01, 0x0000]
    identifier = answers[0][1]
    assert identifier is not None
    assert identifier.PatientState == ""
    assert len(identifier.ReferencedStudySequence) == 0


async def test_a_key_that_cannot_be_matched_is_refused(door: Door) -> None:
    bad_date = query()
    # What a modality sends need not be valid.
    dash = DataElement(0x00400002, "DA", "-", validation_mode=config.IGNORE)
    bad_date.ScheduledProcedureStepSequence[0].add(dash)
    two_items = query()
    two_items.ScheduledProcedureStepSequence.append(Dataset())

    for asked in (bad_date, two_items):
        answers = await asyncio.to_thread(find, door.port, asked)
        assert [status for status, _ in answers] == [0xA900]


async def test_a_stranger_is_told_of_nobody(door: Door) -> None:
    await schedule(door)

    answers = await asyncio.to_thread(find, door.port, query(), title="STRANGER")

    assert answers == [(0x0124, None)]


async def test_while_the_registry_is_away_the_peer_is_asked_to_try_again(door: Door) -> None:
    door.known.failure = ServiceCallError(grpc.StatusCode.UNAVAILABLE, "", {}, "")

    answers = await asyncio.to_thread(find, door.port, query())

    assert answers == [(0xA700, None)]


@pytest.mark.dcmtk
async def test_findscu_of_dcmtk_gets_the_worklist(door: Door, tmp_path: Path) -> None:
    require_dcmtk()
    await schedule(door)
    keys = (
        "(0008,0005)=ISO_IR 192",
        "(0010,0010)=M*",
        "(0010,0020)",
        "(0040,0100)[0].Modality=CT",
        "(0040,0100)[0].ScheduledStationAETitle",
        "(0040,0100)[0].ScheduledProcedureStepStartDate=20260101-20260131",
    )
    options = [part for key in keys for part in ("-k", key)]

    done = await asyncio.to_thread(
        dcmtk,
        *("findscu", "-W", "-X", "-od", str(tmp_path), "-aet", "FINDSCU"),
        *options,
        *("127.0.0.1", str(door.port)),
        timeout_s=30,
    )

    (file,) = tmp_path.glob("rsp*.dcm")
    answer = dcmread(file, force=True)
    assert done.returncode == 0, done.stderr
    assert answer.PatientName == "Müller^Jürgen=山田^太郎"
    assert answer.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "CT1"

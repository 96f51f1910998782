"""Performed procedure steps by N-CREATE and N-SET: pynetdicom against us."""

from __future__ import annotations

import asyncio
import struct

import grpc
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from heimdallr.worklist.v1 import performed_step_pb2 as performed_pb
from heimdallr.worklist.v1 import worklist_service_pb2 as pb
from services.runtime.client import ServiceCallError
from tests.gateway.procedure_steps.conftest import Door
from tests.support.requester import EXPLICIT, Requester, encoded

pytestmark = pytest.mark.postgres
PERFORMED = "1.2.840.10008.3.1.2.3.3"
STEP = "1.2.826.0.1.8"
STUDY = "1.2.826.0.1.9"
CREATE, SET = 0x0140, 0x0120


def begins(state: str = "IN PROGRESS") -> Dataset:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = STUDY
    scheduled.AccessionNumber = "A1"
    scheduled.ScheduledProcedureStepID = "S1"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PerformedProcedureStepStatus = state
    dataset.ScheduledStepAttributesSequence = [scheduled]
    dataset.PatientName = "Müller^Jürgen"
    dataset.PatientID = "P1"
    dataset.Modality = "CT"
    dataset.PerformedStationAETitle = "CT1"
    dataset.PerformedProcedureStepStartDate = "20260105"
    dataset.PerformedProcedureStepStartTime = "101112"
    dataset.PerformedSeriesSequence = []
    return dataset


def ends(state: str = "COMPLETED", count: int = 2) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = f"{STUDY}.1"
    series.ProtocolName = "Thorax"
    series.ReferencedImageSequence = [reference(number) for number in range(count)]
    series.ReferencedNonImageCompositeSOPInstanceSequence = [reference(9000)]
    dataset = Dataset()
    dataset.PerformedProcedureStepStatus = state
    dataset.PerformedProcedureStepEndDate = "20260105"
    dataset.PerformedProcedureStepEndTime = "102030"
    dataset.PerformedSeriesSequence = [series]
    return dataset


def reference(number: int) -> Dataset:
    dataset = Dataset()
    dataset.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.ReferencedSOPInstanceUID = f"{STUDY}.1.{number}"
    return dataset


def said(port: int, *messages: Dataset, title: str = "MODALITY") -> list[int]:
    """Create a step with the first data set, set it with the others; the statuses."""
    ae = AE(title)
    ae.add_requested_context(PERFORMED)
    association = ae.associate("127.0.0.1", port)
    assert association.is_established
    status, _ = association.send_n_create(messages[0], PERFORMED, STEP)
    statuses = [status.Status]
    for message in messages[1:]:
        status, _ = association.send_n_set(message, PERFORMED, STEP)
        statuses.append(status.Status)
    association.release()
    return statuses


async def kept(door: Door) -> performed_pb.PerformedStep:
    found = await door.worklist.ListPerformedSteps(pb.ListPerformedStepsRequest())
    (step,) = found.steps
    return step


async def test_a_step_is_created_and_completed_and_what_it_made_is_known(door: Door) -> None:
    statuses = await asyncio.to_thread(said, door.port, begins(), ends())

    step = await kept(door)
    assert statuses == [0, 0]
    assert step.sop_instance_uid == STEP
    assert step.state == performed_pb.PERFORMED_STEP_STATE_COMPLETED
    assert step.patient_name == "Müller^Jürgen"
    assert step.scheduled[0].study_instance_uid == STUDY
    assert step.start_time == "101112"
    assert step.end_time == "102030"
    made = [one.sop_instance_uid for one in step.series[0].instances]
    assert made == [f"{STUDY}.1.{number}" for number in (0, 1, 9000)]


async def test_a_final_step_may_no_longer_be_updated(door: Door) -> None:
    await asyncio.to_thread(said, door.port, begins(), ends("DISCONTINUED"))

    def again() -> tuple[int, int]:
        with Requester(door.port) as scu:
            scu.associate([(1, PERFORMED, (EXPLICIT,))])
            more = {0x1001: STEP.encode() + b"\0"}
            scu.request(SET, PERFORMED, encoded(ends()), more=more)
            message = scu.message()
            return message.status, message.number(0x0903)

    assert await asyncio.to_thread(again) == (0x0110, 0xA710)


async def test_what_a_step_may_not_say_is_answered_with_its_status(door: Door) -> None:
    nothing = Dataset()
    nothing.PatientID = "P1"
    no_study = begins()
    no_study.ScheduledStepAttributesSequence[0].StudyInstanceUID = ""
    no_order = begins()
    no_order.ScheduledStepAttributesSequence = []
    for message, status in (
        (begins("COMPLETED"), 0x0106),
        (begins("RUNNING"), 0x0106),
        (nothing, 0x0120),
        (no_order, 0x0120),
        (no_study, 0x0121),
    ):
        assert await asyncio.to_thread(said, door.port, message) == [status]
    first, second = await asyncio.to_thread(said, door.port, begins(), ends("WHATEVER"))
    again = await asyncio.to_thread(said, door.port, begins())

    assert (first, second) == (0, 0x0106)
    assert again == [0x0111]


async def test_an_unknown_step_is_said_to_be_unknown_and_a_uid_is_made_where_none_came(
    door: Door,
) -> None:
    def work() -> list[tuple[int, str]]:
        with Requester(door.port) as scu:
            scu.associate([(1, PERFORMED, (EXPLICIT,))])
            answers = []
            for field, more, message in (
                (SET, {0x1001: b"1.2.3\0"}, ends()),
                (SET, {0x1001: b"x\0"}, ends()),
                (CREATE, {}, begins()),
            ):
                scu.request(field, PERFORMED, encoded(message), more=more)
                answer = scu.message()
                answers.append((answer.status, answer.text(0x1000)))
            return answers

    unknown, invalid, made = await asyncio.to_thread(work)

    assert unknown[0] == 0x0112
    assert invalid[0] == 0x0117
    assert made[0] == 0
    assert made[1].startswith("2.25.")
    assert (await kept(door)).sop_instance_uid == made[1]


async def test_a_step_of_thousands_of_instances_is_taken(door: Door) -> None:
    statuses = await asyncio.to_thread(said, door.port, begins(), ends(count=5000))

    assert statuses == [0, 0]
    assert len((await kept(door)).series[0].instances) == 5001


async def test_a_broken_data_set_is_refused_and_the_association_goes_on(door: Door) -> None:
    def work() -> list[int]:
        with Requester(door.port) as scu:
            scu.associate([(1, PERFORMED, (EXPLICIT,))])
            statuses = []
            for data in (b"\x10\x00\x10\x00PN" + struct.pack("<H", 500), encoded(begins())):
                scu.request(CREATE, PERFORMED, data, more={0x1000: STEP.encode() + b"\0"})
                statuses.append(scu.message().status)
            return statuses

    assert await asyncio.to_thread(work) == [0x0110, 0]


async def test_what_a_stranger_says_is_not_recorded(door: Door) -> None:
    refused = await asyncio.to_thread(said, door.port, begins(), title="STRANGER")
    door.known.failure = ServiceCallError(grpc.StatusCode.UNAVAILABLE, "", {}, "")
    away = await asyncio.to_thread(said, door.port, begins())

    found = await door.worklist.ListPerformedSteps(pb.ListPerformedStepsRequest())
    assert (refused, away) == ([0x0124], [0x0110])
    assert not found.steps

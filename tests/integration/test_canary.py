"""No patient data in logs, errors or events: a canary patient goes through, and is sought."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

import grpc
import pytest

from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.events.v1 import events_service_pb2 as events_pb
from heimdallr.events.v1.events_service_pb2_grpc import EventsServiceStub
from heimdallr.workflow.v1 import workflow_service_pb2 as pb
from heimdallr.workflow.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from services.dicom.phantoms.chest_ct import ChestCtPhantom
from services.dicom.phantoms.series import PhantomStudy, write_series
from services.runtime.client import MeshChannel
from tests.support.dcmtk import storescu
from tests.support.running_stack import RunningStack
from tests.support.studies import settled

pytestmark = [pytest.mark.stack, pytest.mark.triton, pytest.mark.dcmtk]

NAME: Final = "KANARIENVOGEL^ADELHEID"
IDENTIFIER: Final = "MRN-7719034-CANARY"
BIRTH_DATE: Final = "19310713"
CANARIES: Final = ("KANARIENVOGEL", "ADELHEID", "7719034", BIRTH_DATE, "1931-07-13")


async def test_nothing_of_the_canary_patient_is_in_logs_errors_or_events(
    stack: RunningStack, channel: MeshChannel, dcmtk: None, tmp_path: Path
) -> None:
    study = PhantomStudy(patient_name=NAME, patient_id=IDENTIFIER, patient_birth_date=BIRTH_DATE)
    write_series(ChestCtPhantom(3, shape=(30, 64, 64)), tmp_path, study)
    _add_damaged_copies(tmp_path)
    storescu(stack.dicom_port, [tmp_path], "+sd", "-nh")
    found = await settled(channel, study.study_instance_uid)

    texts = stack.logs()
    texts["errors"] = await _errors(channel, study.study_instance_uid)
    texts["events"] = await _events(channel)

    assert found.patient_id == IDENTIFIER  # the canary is in there
    assert len(texts) > 8
    for canary in (*CANARIES, study.study_instance_uid):
        assert [name for name, text in texts.items() if canary.lower() in text.lower()] == []


def _add_damaged_copies(folder: Path) -> None:
    whole = sorted(folder.iterdir())[0].read_bytes()
    (folder / "truncated.dcm").write_bytes(whole[: len(whole) // 2])
    (folder / "zeroed.dcm").write_bytes(whole[:1500] + bytes(len(whole) - 1500))


async def _errors(channel: MeshChannel, uid: str) -> str:
    stub = ArchiveServiceStub(channel)
    calls: list[Awaitable[object]] = [
        stub.ListStudies(archive_pb.ListStudiesRequest(page_token=f"{NAME}{IDENTIFIER}")),
        stub.ListStudies(archive_pb.ListStudiesRequest(study_date_from=NAME, text=IDENTIFIER)),
        stub.GetStudy(archive_pb.GetStudyRequest(study_id=IDENTIFIER)),
        stub.GetStudy(archive_pb.GetStudyRequest(study_instance_uid=f"{uid}.1")),
        WorkflowServiceStub(channel).ReplayStage(pb.ReplayStageRequest(stage_id=NAME)),
    ]
    answers = []
    for call in calls:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            answers.append(f"{error.code()} {error.details()} {error.trailing_metadata()}")
    assert len(answers) == len(calls)
    return "\n".join(answers)


async def _events(channel: MeshChannel) -> str:
    watch = EventsServiceStub(channel).WatchEvents(events_pb.WatchEventsRequest(cursor="0"))
    seen = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            async for message in watch:
                seen.append(str(message))  # noqa: PERF401 - a time-out keeps what came before it
    assert seen
    return "\n".join(seen)

"""A running worklist over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.worklist.v1 import scheduled_step_pb2 as step_pb
from heimdallr.worklist.v1 import worklist_service_pb2_grpc as pb_grpc
from services.coordinator.worklist.importing import Importer
from services.coordinator.worklist.performed_store import PerformedStore
from services.coordinator.worklist.service import WorklistService
from services.coordinator.worklist.store import WorklistStore
from services.runtime.migrate import apply
from services.runtime.postgres import Connection, Pool
from tests.support.mesh import running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]


@dataclass(slots=True)
class Heard:
    """What performed steps said of studies."""

    said: list[tuple[str, ...]] = field(default_factory=list)

    async def step_began(
        self, connection: Connection, study_instance_uid: str, step_uid: str
    ) -> None:
        self.said.append(("began", study_instance_uid, step_uid))

    async def step_ended(
        self,
        connection: Connection,
        study_instance_uid: str,
        step_uid: str,
        series: Mapping[str, Sequence[str]],
    ) -> None:
        instances = [uid for uids in series.values() for uid in uids]
        self.said.append(("ended", study_instance_uid, step_uid, *instances))


@dataclass(slots=True)
class Worklist:
    """A worklist under test."""

    stub: pb_grpc.WorklistServiceAsyncStub
    heard: Heard


@pytest.fixture
async def worklist(pool: Pool, tmp_path: Path) -> AsyncIterator[Worklist]:
    await apply(pool, ["services.coordinator.worklist"])
    heard = Heard()
    service = WorklistService(WorklistStore(pool), Importer(pool), PerformedStore(pool, heard))
    async with running_server(
        tmp_path, lambda server: pb_grpc.add_WorklistServiceServicer_to_server(service, server)
    ) as server:
        channel = server.channel(
            Permission.PERMISSION_WORKLIST_READ,
            Permission.PERMISSION_WORKLIST_WRITE,
            Permission.PERMISSION_WORKLIST_RECORD,
        )
        yield Worklist(pb_grpc.WorklistServiceStub(channel), heard)


def scheduled(
    name: str = "DOE^JANE",
    *,
    patient_id: str = "P1",
    accession: str = "A1",
    step_id: str = "",
    station: str = "CT1",
    start: tuple[str, str] = ("20260105", "0930"),
    modality: str = "CT",
) -> step_pb.ScheduledStepSpec:
    """Return a step to schedule."""
    return step_pb.ScheduledStepSpec(
        patient=step_pb.ScheduledPatient(patient_id=patient_id, patient_name=name),
        procedure=step_pb.RequestedProcedure(accession_number=accession),
        scheduled_station_ae_titles=[station],
        start_date=start[0],
        start_time=start[1],
        modality=modality,
        scheduled_procedure_step_id=step_id,
        description="Chest",
    )

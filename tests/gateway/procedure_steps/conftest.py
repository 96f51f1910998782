"""Associations that are offered procedure steps, before a real worklist in a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.dimse.admission import Admission
from gateway.dimse.association import AssociationSettings
from gateway.dimse.inbox import InboxLimits
from gateway.dimse.listener import Listener
from gateway.dimse.service import Provider, Services
from gateway.dimse.storage import StorageService
from gateway.procedure_steps.performed import PerformedStepService
from gateway.procedure_steps.worklist_find import WorklistFindService
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.worklist.v1 import worklist_service_pb2_grpc as pb_grpc
from services.coordinator.worklist.importing import Importer
from services.coordinator.worklist.performed_store import PerformedStore
from services.coordinator.worklist.service import WorklistService
from services.coordinator.worklist.store import WorklistStore
from services.runtime.client import ServiceCallError
from services.runtime.migrate import apply
from services.runtime.postgres import Connection, Pool
from tests.support.mesh import running_server
from tests.support.postgres import pool, postgres_dsn, postgres_server_dsn

__all__ = ["pool", "postgres_dsn", "postgres_server_dsn"]


class Silent:
    """Nobody is told what steps say of studies."""

    async def step_began(
        self, connection: Connection, study_instance_uid: str, step_uid: str
    ) -> None:
        pass

    async def step_ended(
        self,
        connection: Connection,
        study_instance_uid: str,
        step_uid: str,
        series: Mapping[str, Sequence[str]],
    ) -> None:
        pass


@dataclass
class Known:
    """The peers that are inside, by AE title; ``away`` when nobody can tell."""

    titles: set[str] = field(default_factory=lambda: {"MODALITY", "FINDSCU", "TESTSCU"})
    failure: ServiceCallError | None = None

    async def is_inside(self, ae_title: str, address: str) -> bool:
        if self.failure is not None:
            raise self.failure
        return ae_title in self.titles


@dataclass
class Door:
    """Where a modality connects, and the worklist behind it."""

    port: int
    worklist: pb_grpc.WorklistServiceAsyncStub
    known: Known


class NoStorage(StorageService):
    """Nothing is stored here."""

    def __init__(self) -> None:
        pass


@pytest.fixture
async def door(pool: Pool, tmp_path: Path) -> AsyncIterator[Door]:
    await apply(pool, ["services.coordinator.worklist"])
    service = WorklistService(WorklistStore(pool), Importer(pool), PerformedStore(pool, Silent()))
    async with running_server(
        tmp_path, lambda server: pb_grpc.add_WorklistServiceServicer_to_server(service, server)
    ) as server:
        channel = server.channel(
            Permission.PERMISSION_WORKLIST_READ,
            Permission.PERMISSION_WORKLIST_WRITE,
            Permission.PERMISSION_WORKLIST_RECORD,
        )
        stub = pb_grpc.WorklistServiceStub(channel)
        known = Known()
        providers: list[Provider] = [
            WorklistFindService(stub, known),
            PerformedStepService(stub, known),
        ]
        listener = _listener(Services(NoStorage(), providers))
        port = await listener.start("127.0.0.1", 0)
        yield Door(port, stub, known)
        await listener.stop(1.0)


def _listener(services: Services) -> Listener:
    inbox = InboxLimits(
        max_pdu_length=128 << 10, max_object_bytes=1 << 30, idle_timeout_s=10, pdu_timeout_s=10
    )
    admission = Admission(
        max_waiting=10,
        max_waiting_per_address=10,
        max_associations=10,
        max_associations_per_address=10,
    )
    return Listener(AssociationSettings(None, 10, inbox), admission, services, 20)

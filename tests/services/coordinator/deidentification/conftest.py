"""De-identification over a real database, with every part of the coordinator that it touches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.deid.v1 import crosswalk_service_pb2_grpc as crosswalk_grpc
from heimdallr.deid.v1 import profile_pb2
from heimdallr.deid.v1 import project_service_pb2 as project_pb
from heimdallr.deid.v1 import project_service_pb2_grpc as project_grpc
from heimdallr.deid.v1 import review_service_pb2 as pb
from heimdallr.deid.v1 import review_service_pb2_grpc as review_grpc
from services.coordinator.pseudonymity import Pseudonymity
from services.runtime.client import MeshChannel
from services.runtime.postgres import Pool
from tests.services.coordinator.deidentification.fake_deid import FakeDeid, served
from tests.services.coordinator.workflow.fake_mesh import FakeMesh
from tests.services.coordinator.workflow.workshop import Workshop, open_workshop
from tests.support.coordinator_database import coordinator_pool, coordinator_template
from tests.support.mesh import RunningServer, running_server
from tests.support.postgres import postgres_server_dsn

__all__ = ["coordinator_pool", "coordinator_template", "postgres_server_dsn"]

EVERYTHING = (
    Permission.PERMISSION_DEID_READ,
    Permission.PERMISSION_DEID_ADMIN,
    Permission.PERMISSION_DEID_RUN,
    Permission.PERMISSION_DEID_START,
    Permission.PERMISSION_DEID_REVIEW,
    Permission.PERMISSION_DEID_REVEAL,
    Permission.PERMISSION_DEID_REIDENTIFY,
)


@dataclass(slots=True)
class Desk:
    """De-identification under test.

    Attributes:
        deid: Stands in for the service that does it.
        workshop: The workflow around it.
    """

    deid: FakeDeid
    mesh: FakeMesh
    workshop: Workshop
    server: RunningServer
    channel: MeshChannel

    @property
    def pool(self) -> Pool:
        """The database."""
        return self.workshop.pool

    @property
    def projects(self) -> project_grpc.DeidProjectServiceAsyncStub:
        """Projects, for somebody who may do everything."""
        return project_grpc.DeidProjectServiceStub(self.channel)

    @property
    def review(self) -> review_grpc.DeidReviewServiceAsyncStub:
        """Work and review, for somebody who may do everything."""
        return review_grpc.DeidReviewServiceStub(self.channel)

    def crosswalk(self, subject: str) -> crosswalk_grpc.CrosswalkServiceAsyncStub:
        """Return the crosswalk for a person."""
        channel = self.server.channel(Permission.PERMISSION_DEID_REIDENTIFY, subject=subject)
        return crosswalk_grpc.CrosswalkServiceStub(channel)

    async def project(self, name: str = "trial-7", *, two_persons: bool = False) -> str:
        """Make a project and return our id of it."""
        profile = profile_pb2.Profile(preset=profile_pb2.PROFILE_PRESET_RESEARCH)
        project = project_pb.Project(name=name, profile=profile, two_persons=two_persons)
        made = await self.projects.CreateProject(project_pb.CreateProjectRequest(project=project))
        return made.project.project_id

    async def start(self, project_id: str, study_id: str, *series_ids: str) -> list[str]:
        """Have a study de-identified."""
        answer = await self.review.StartDeidentification(
            pb.StartDeidentificationRequest(
                project_id=project_id, study_id=study_id, series_ids=series_ids
            )
        )
        return list(answer.stage_ids)

    async def only_series(self, study_id: str) -> pb.Deidentification:
        """Return what was de-identified of a study with one series."""
        answer = await self.review.ListDeidentifications(
            pb.ListDeidentificationsRequest(study_id=study_id)
        )
        (found,) = answer.deidentifications
        return found

    async def objects(self, study_id: str) -> list[pb.DeidentifiedObject]:
        """Return the objects of a study with one series."""
        series = await self.only_series(study_id)
        answer = await self.review.GetDeidentification(
            pb.GetDeidentificationRequest(deidentification_id=series.deidentification_id)
        )
        return list(answer.objects)

    async def released(
        self, project_id: str, study_id: str, *, despite_held: bool = False
    ) -> list[pb.ListReleasedResponse]:
        """Return what may go outside."""
        stream = self.review.ListReleased(
            pb.ListReleasedRequest(
                project_id=project_id, study_id=study_id, despite_held=despite_held
            )
        )
        return [message async for message in stream]

    async def decide(
        self,
        study_id: str,
        number: int,
        decision: pb.Decision.ValueType = pb.DECISION_APPROVE,
        reason: str = "It is a ruler.",
    ) -> pb.DeidentifiedObject:
        """Decide about the object with an instance number of a study with one series."""
        series = await self.only_series(study_id)
        (found,) = [o for o in await self.objects(study_id) if o.instance_number == number]
        answer = await self.review.DecideObject(
            pb.DecideObjectRequest(
                deidentification_id=series.deidentification_id,
                instance_id=found.instance_id,
                decision=decision,
                reason=reason,
            )
        )
        return answer.object

    async def rows(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Ask the database."""
        return await self.pool.fetch(statement, *values)


@pytest.fixture
async def desk(coordinator_pool: Pool, tmp_path: Path) -> AsyncIterator[Desk]:
    # The workflow asks for no drawing, decoding or transcoding.
    mesh = FakeMesh(models=())  # type: ignore[abstract]
    deid = FakeDeid()  # type: ignore[abstract]
    async with served(mesh, deid, tmp_path) as address:
        workshop = open_workshop(coordinator_pool, address)
        wake = workshop.dispatcher.wake
        tested = Pseudonymity(
            coordinator_pool, workshop.channel, workshop.archive, workshop.queue, wake
        )
        async with running_server(tmp_path, tested.add_servicers) as server:
            channel = server.channel(*EVERYTHING, subject="rita")
            yield Desk(deid, mesh, workshop, server, channel)
        await workshop.channel.close()

"""gRPC adapter of de-identification projects."""

from __future__ import annotations

from typing import Any

import grpc

from heimdallr.deid.v1 import project_service_pb2 as pb
from heimdallr.deid.v1 import project_service_pb2_grpc as pb_grpc
from services.coordinator.deidentification.calls import DeidCalls
from services.coordinator.deidentification.errors import ProjectNotFoundError
from services.coordinator.deidentification.project_messages import (
    project_to_proto,
    spec_from_proto,
    summary_to_proto,
)
from services.coordinator.deidentification.project_store import ProjectStore
from services.runtime.errors import InvalidFieldError
from services.runtime.ids import is_id

Context = grpc.aio.ServicerContext[Any, Any]


class DeidProjectService(pb_grpc.DeidProjectServiceServicer):
    """Serves ``heimdallr.deid.v1.DeidProjectService``."""

    def __init__(self, store: ProjectStore, calls: DeidCalls) -> None:
        self._store = store
        self._calls = calls

    async def CreateProject(
        self, request: pb.CreateProjectRequest, context: Context
    ) -> pb.CreateProjectResponse:
        """See ``project_service.proto``."""
        project = await self._store.create(spec_from_proto(request.project))
        return pb.CreateProjectResponse(project=project_to_proto(project))

    async def UpdateProject(
        self, request: pb.UpdateProjectRequest, context: Context
    ) -> pb.UpdateProjectResponse:
        """See ``project_service.proto``."""
        before = await self._store.project(_project_id(request.project.project_id))
        if request.project.name not in ("", before.name):
            raise InvalidFieldError("project.name", "the name it has: a project keeps it")
        if before.two_persons and not request.project.two_persons:
            # Else whoever may change projects would not need the second person.
            raise InvalidFieldError("project.two_persons", "stays once it is set")
        request.project.name = before.name
        project = await self._store.update(before.project_id, spec_from_proto(request.project))
        return pb.UpdateProjectResponse(project=project_to_proto(project))

    async def RotateProjectKey(
        self, request: pb.RotateProjectKeyRequest, context: Context
    ) -> pb.RotateProjectKeyResponse:
        """See ``project_service.proto``."""
        project = await self._store.project(_project_id(request.project_id))
        version = await self._calls.rotate(project.project_id)
        await self._store.note_key(project.project_id, "", version)
        return pb.RotateProjectKeyResponse(key_version=version)

    async def GetProject(
        self, request: pb.GetProjectRequest, context: Context
    ) -> pb.GetProjectResponse:
        """See ``project_service.proto``."""
        project = await self._store.project(_project_id(request.project_id))
        summary = await self._store.summary(project.project_id)
        return pb.GetProjectResponse(
            project=project_to_proto(project), summary=summary_to_proto(summary)
        )

    async def ListProjects(
        self, request: pb.ListProjectsRequest, context: Context
    ) -> pb.ListProjectsResponse:
        """See ``project_service.proto``."""
        return pb.ListProjectsResponse(projects=map(project_to_proto, await self._store.projects()))


def _project_id(text: str) -> str:
    if not is_id(text):
        raise ProjectNotFoundError("")
    return text

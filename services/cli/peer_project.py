"""The de-identification project of a peer outside, by the name that people use."""

from __future__ import annotations

import typer

from heimdallr.deid.v1 import project_service_pb2 as pb
from heimdallr.deid.v1.project_service_pb2_grpc import DeidProjectServiceStub
from heimdallr.peers.v1.peers_service_pb2 import PeerSpec
from services.runtime.client import MeshChannel
from services.runtime.ids import is_id


async def set_project(channel: MeshChannel, spec: PeerSpec, text: str | None) -> None:
    """Register a project by its name or id; "" for none, None to leave it as it is.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    if text is None:
        return
    spec.deid_project_id = text if not text or is_id(text) else await _by_name(channel, text)


async def _by_name(channel: MeshChannel, name: str) -> str:
    listed = await DeidProjectServiceStub(channel).ListProjects(pb.ListProjectsRequest())
    for project in listed.projects:
        if project.name == name:
            return project.project_id
    raise typer.BadParameter(f"{name}: no such project", param_hint="--deid-project")

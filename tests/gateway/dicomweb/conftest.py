"""DICOMweb on a port, before an archive in memory and the real conversion service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from pydicom.dataset import Dataset

from gateway.dicomweb.door import Behind, dicomweb_routes
from gateway.dicomweb.settings import DicomwebSettings
from gateway.http.permitted import HttpCallers
from gateway.http.server import HttpServer
from gateway.part10_intake import Part10Intake
from gateway.quarantine import Quarantine
from gateway.staging import Staging
from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2_grpc as archive_grpc
from heimdallr.conversion.v1 import conversion_service_pb2_grpc as conversion_grpc
from heimdallr.workflow.v1 import workflow_service_pb2_grpc as workflow_grpc
from services.conversion.service import ConversionService
from services.conversion.settings import ConversionSettings
from services.runtime.local_blobs import LocalBlobs
from services.runtime.tokens import Verifier
from services.runtime.workspaces import Workspaces
from tests.gateway.dicomweb.archive_double import ArchiveDouble, IndexDouble, WorkflowDouble
from tests.support.instances import part10
from tests.support.mesh import RunningServer, running_server
from tests.support.trail import ListTrail

READ = Permission.PERMISSION_ARCHIVE_READ
WRITE = Permission.PERMISSION_ARCHIVE_WRITE
CALLS = (Permission.PERMISSION_CONVERSION_RUN, Permission.PERMISSION_WORKFLOW_READ)


@dataclass
class Dicomweb:
    """A client, and what lies behind the server."""

    session: aiohttp.ClientSession
    mesh: RunningServer
    index: IndexDouble
    archive: ArchiveDouble
    workflow: WorkflowDouble
    blobs: LocalBlobs
    folder: Path
    trail: ListTrail
    token: str

    async def get(
        self, path: str, *, token: str | None = None, **headers: str
    ) -> tuple[int, aiohttp.ClientResponse, bytes]:
        """Return status, answer and body; underscores in header names are dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = f"Bearer {token if token is not None else self.token}"
        url = f"/dicom-web{path}"
        async with self.session.get(url, headers=sent) as answer:
            return answer.status, answer, await answer.read()

    async def store(self, *files: bytes, study: str = "") -> tuple[int, dict[str, Any]]:
        """Store files and return status and outcome."""
        body = b"".join(
            b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files
        )
        return await self.post(
            body + b"--b--\r\n",
            'multipart/related; type="application/dicom"; boundary=b',
            f"/studies/{study}" if study else "/studies",
        )

    async def post(
        self, body: Any, content_type: str, path: str = "/studies", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Post a body and return status and JSON answer."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Content-Type": content_type, "Authorization": f"Bearer {self.token}"}
        async with self.session.post(f"/dicom-web{path}", data=body, headers=sent) as answer:
            return answer.status, await answer.json(content_type=None)

    async def stored(self, *instances: Dataset) -> str:
        """Store instances of one series and return the path of the first."""
        status, _ = await self.store(*map(part10, instances))
        assert status == 200
        return path_of(instances[0])


def path_of(instance: Dataset) -> str:
    """Return the path of an instance below the service."""
    uids = instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID
    return "/studies/{}/series/{}/instances/{}".format(*uids)


@pytest.fixture
def settings() -> DicomwebSettings:
    """Bounds of the server under test."""
    return DicomwebSettings(
        max_results=3, max_parts=20, max_request_bytes=4 << 20, body_timeout_s=0.5
    )


@pytest.fixture
async def dicomweb(tmp_path: Path, settings: DicomwebSettings) -> AsyncIterator[Dicomweb]:
    """A client of a server on a free port."""
    blobs = LocalBlobs(tmp_path / "blobs", free_bytes=0)
    index = IndexDouble()
    archive, workflow = ArchiveDouble(index), WorkflowDouble()  # type: ignore[abstract]
    limits = ConversionSettings(work_folder=tmp_path / "work", imaging_processes=1)
    workspaces = Workspaces(limits.work_folder)
    conversion = ConversionService(blobs, workspaces, limits)

    def add(server: grpc.aio.Server) -> None:
        archive_grpc.add_ArchiveServiceServicer_to_server(archive, server)
        workflow_grpc.add_WorkflowServiceServicer_to_server(workflow, server)
        conversion_grpc.add_ConversionServiceServicer_to_server(conversion, server)

    with ThreadPoolExecutor(2) as executor:
        async with running_server(tmp_path, add) as mesh:
            trail = ListTrail()
            quarantine = Quarantine(tmp_path / "quarantine", max_bytes=1 << 20, max_count=5)
            behind = Behind(
                callers=HttpCallers(Verifier(mesh.tokens.jwks_file), trail),
                own=mesh.channel(*CALLS, subject="gateway"),
                plain=mesh.bearer_channel(None),
                blobs=blobs,
                intake=Part10Intake(Staging(blobs, executor, quarantine), 8 << 20),
                handover=index,
                folder=tmp_path / "journal",
            )
            http = HttpServer(
                "127.0.0.1:0",
                tmp_path,
                mesh.channel(),
                mesh.bearer_channel(None),
                dicomweb_routes(behind, settings),
            )
            host = await http.start()
            running = asyncio.create_task(http.run())
            async with aiohttp.ClientSession(f"http://{host}", auto_decompress=False) as session:
                yield Dicomweb(
                    session,
                    mesh,
                    index,
                    archive,
                    workflow,
                    blobs,
                    tmp_path,
                    trail,
                    mesh.tokens.mint(READ, WRITE),
                )
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    await conversion.close()
    workspaces.close()

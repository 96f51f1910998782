"""The de-identification service on a socket of its own, with its blobs and keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.deid.v1 import deidentification_service_pb2 as pb
from heimdallr.deid.v1 import deidentification_service_pb2_grpc as pb_grpc
from heimdallr.deid.v1 import profile_pb2
from heimdallr.imaging.v1 import blob_ref_pb2
from services.deid.key_ring import KeyRing
from services.deid.service import DeidentificationService
from services.deid.settings import DeidSettings
from services.runtime.blob_messages import blob_from_proto, blob_to_proto
from services.runtime.blobs import BlobStore
from services.runtime.local_blobs import LocalBlobs
from services.runtime.workspaces import Workspaces
from tests.support.mesh import RunningServer, running_server

PROJECT: Final = "01a1fe65-4036-7068-815a-f87418a51896"
RESEARCH: Final = profile_pb2.Profile(preset=profile_pb2.PROFILE_PRESET_RESEARCH)
DICOM: Final = "application/dicom"


@dataclass
class DeidService:
    """The service under test.

    Attributes:
        stub: Calls it with the permission to run.
        server: The server around it.
        blobs: Its blob store.
        keys: Folder of its keys.
        work: Folder of its temporary files.
    """

    stub: pb_grpc.DeidentificationServiceAsyncStub
    server: RunningServer
    blobs: BlobStore
    keys: Path
    work: Path

    @property
    def blob_folder(self) -> Path:
        """Where the blobs lie."""
        assert isinstance(self.blobs, LocalBlobs)
        return self.blobs.folder

    def left(self) -> list[Path]:
        """Files and folders of calls that are still there."""
        return [path for path in self.work.glob("*/*") if path.name != "lock"]

    async def stored(self, *files: bytes) -> list[pb.SourceInstance]:
        """Store files and return them as objects to de-identify."""
        refs = [await self.blobs.put_bytes(file, DICOM) for file in files]
        return [
            pb.SourceInstance(instance_id=f"source-{number}", content=blob_to_proto(ref))
            for number, ref in enumerate(refs)
        ]

    async def read(self, ref: blob_ref_pb2.BlobRef) -> bytes:
        """Return the bytes of a blob."""
        return await self.blobs.read(blob_from_proto(ref))

    async def series(
        self,
        instances: Sequence[pb.SourceInstance],
        project_id: str = PROJECT,
        profile: profile_pb2.Profile = RESEARCH,
        **fields: Any,
    ) -> tuple[list[pb.InstanceOutcome], pb.SeriesOutcome]:
        """De-identify a series and return what became of its objects, and the end."""
        request = pb.DeidentifySeriesRequest(
            project_id=project_id, profile=profile, instances=instances, **fields
        )
        events = [event async for event in self.stub.DeidentifySeries(request)]
        assert events[-1].WhichOneof("event") == "outcome"
        return [event.instance for event in events if event.HasField("instance")], events[
            -1
        ].outcome


@asynccontextmanager
async def running_deid(
    folder: Path, blobs: BlobStore | None = None, **changes: Any
) -> AsyncIterator[DeidService]:
    """Run the service in a folder, with a blob store in it unless another is given."""
    blobs = blobs or LocalBlobs(folder / "blobs", free_bytes=0)
    settings = DeidSettings(
        keys_folder=folder / "keys/deid", work_folder=folder / "work", **changes
    )
    workspaces = Workspaces(settings.work_folder)
    service = DeidentificationService(blobs, workspaces, KeyRing(settings.keys_folder), settings)

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_DeidentificationServiceServicer_to_server(service, server)

    async with running_server(folder, add) as server:
        channel = server.channel(
            Permission.PERMISSION_DEID_RUN,
            Permission.PERMISSION_DEID_READ,
            Permission.PERMISSION_DEID_OPEN,
        )
        stub = pb_grpc.DeidentificationServiceStub(channel)
        yield DeidService(stub, server, blobs, settings.keys_folder, settings.work_folder)
    await service.close()
    workspaces.close()

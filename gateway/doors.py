"""The doors for files, put together from their parts: upload, and registered sources."""

from __future__ import annotations

from pathlib import Path

import grpc
from aiohttp import web

from gateway.file_door import FileDoor
from gateway.gateway import Gateway
from gateway.http.permitted import HttpCallers
from gateway.peers.directory import PeerDirectory
from gateway.sources.exchanges import DimseExchange, WebExchange
from gateway.sources.held import Held
from gateway.sources.orthanc import Orthancs
from gateway.sources.polling import Polling
from gateway.sources.runner import Runner
from gateway.sources.service import SourceTestsService
from gateway.sources.settings import SourceSettings
from gateway.sources.testing import SourceTests
from gateway.sources.watch_folder import WatchedFolders
from gateway.sources.webhook import Webhook
from gateway.upload.http import UploadDoor
from gateway.upload.settings import UploadSettings
from gateway.upload.spool import UploadSpool
from gateway.upload.unpacking import Unpacking
from gateway.upload.uploads import Uploads, archive_limits
from heimdallr.archive.v1.archive_service_pb2_grpc import ArchiveServiceStub
from heimdallr.dicomweb.v1.dicomweb_client_service_pb2_grpc import DicomWebClientServiceStub
from heimdallr.dimse.v1.dimse_service_pb2_grpc import DimseServiceStub
from heimdallr.peers.v1.peers_service_pb2_grpc import PeersServiceStub
from heimdallr.sources.v1 import source_tests_service_pb2_grpc
from heimdallr.sources.v1.sources_service_pb2_grpc import SourcesServiceStub
from heimdallr.workflow.v1.completeness_service_pb2_grpc import CompletenessServiceStub
from services.runtime.server import Background


class UploadDoors:
    """Uploads over HTTP.

    Args:
        gateway: The way behind the doors.
        folder: Where uploads lie until they are unpacked.
        settings: Their bounds.
        callers: Who may upload.

    Attributes:
        routes: What is served.
        background: What runs as long as they are open.
    """

    def __init__(
        self, gateway: Gateway, folder: Path, settings: UploadSettings, callers: HttpCallers
    ) -> None:
        door = FileDoor(gateway.part10, gateway.intake)
        uploads = Uploads(UploadSpool(folder, settings), door, settings)
        self.routes = UploadDoor(uploads, callers, settings).routes()
        self.background: list[Background] = [uploads.run]


class SourceDoors:
    """What is fetched by schedule.

    Args:
        gateway: The way behind the doors.
        data: The gateway's own data; its folder ``watch`` is watched unless others are set.
        settings: How sources are worked on.
        unpacked: Bounds on archives in watched folders.
        mesh: Channel that calls as the gateway.

    Attributes:
        background: What runs as long as they are open.
    """

    def __init__(
        self,
        gateway: Gateway,
        data: Path,
        settings: SourceSettings,
        unpacked: UploadSettings,
        mesh: grpc.aio.Channel,
    ) -> None:
        settings = _with_watch_root(settings, data)
        door = FileDoor(gateway.part10, gateway.intake)
        unpacking = Unpacking(door, archive_limits(unpacked), unpacked.workers)
        self._sources = SourcesServiceStub(mesh)
        directory = PeerDirectory(PeersServiceStub(mesh))
        web_peers, dimse_peers = DicomWebClientServiceStub(mesh), DimseServiceStub(mesh)
        held = Held(ArchiveServiceStub(mesh), CompletenessServiceStub(mesh))
        folders = WatchedFolders(door, unpacking, settings)
        self._tests = SourceTests(folders, directory, web_peers, dimse_peers, settings)
        qido = Polling(held, lambda spec: WebExchange(web_peers, spec.qido.peer_id))
        dimse = Polling(
            held,
            lambda spec: DimseExchange(dimse_peers, spec.dimse.peer_id, use_get=spec.dimse.use_get),
        )
        workers = {
            "watch_folder": folders.work,
            "orthanc": Orthancs(directory, door, held, settings).work,
            "qido": qido.work,
            "dimse": dimse.work,
        }
        self.background: list[Background] = [Runner(self._sources, workers, settings).run]

    def routes(self, callers: HttpCallers) -> list[web.RouteDef]:
        """Return what is served over HTTP."""
        return Webhook(self._sources, callers).routes()

    def add_servicers(self, server: grpc.aio.Server) -> None:
        """Add the services."""
        tests = SourceTestsService(self._tests, self._sources)
        source_tests_service_pb2_grpc.add_SourceTestsServiceServicer_to_server(tests, server)


def _with_watch_root(settings: SourceSettings, data: Path) -> SourceSettings:
    if settings.watch_roots:
        return settings
    own = data / "watch"
    own.mkdir(mode=0o770, parents=True, exist_ok=True)
    return settings.model_copy(update={"watch_roots": (own,)})

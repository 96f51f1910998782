"""Runs the gateway: ``python -m gateway``."""

from __future__ import annotations

import grpc

from gateway.dicomweb.cache import DiskCache
from gateway.dicomweb.cache_service import DicomWebCacheService
from gateway.dicomweb.door import Behind, dicomweb_routes, open_cache
from gateway.dicomweb.settings import DicomwebSettings
from gateway.dimse.settings import DicomSettings
from gateway.doors import SourceDoors, UploadDoors
from gateway.exchanges import Exchanges
from gateway.gateway import Gateway
from gateway.http.permitted import HttpCallers
from gateway.http.server import HttpServer
from gateway.ohif.settings import OhifSettings
from gateway.ohif.site import OhifSite
from gateway.peers.settings import ExchangeSettings
from gateway.settings import GatewaySettings
from gateway.sources.settings import SourceSettings
from gateway.upload.settings import UploadSettings
from heimdallr.dicomweb.v1.dicomweb_cache_service_pb2_grpc import (
    add_DicomWebCacheServiceServicer_to_server,
)
from services.runtime.audit_client import RemoteAuditTrail
from services.runtime.blobs import BlobStore, open_blobs
from services.runtime.client import open_channel
from services.runtime.local_blobs import LocalBlobs
from services.runtime.logs import configure_logs
from services.runtime.server import Hooks, run, serve
from services.runtime.settings import RuntimeSettings, load_settings
from services.runtime.token_source import FileTokenSource
from services.runtime.tokens import Verifier


class UnsupportedBlobStoreError(Exception):
    """The gateway stages on a disk of its own: give it a file:// folder, or a spool and chunks."""


async def main() -> None:
    """Serve until SIGTERM."""
    runtime, settings = load_settings(RuntimeSettings), load_settings(GatewaySettings)
    configure_logs(runtime.log_level, runtime.service_name)
    blobs = open_blobs(runtime.blobs, free_bytes=runtime.blobs_free_bytes)
    staged = _staging_store(blobs, settings, runtime.blobs_free_bytes)
    token_source = FileTokenSource(runtime.token_file)
    gateway = Gateway(settings, staged, token_source, runtime.mesh, load_settings(DicomSettings))
    await gateway.start()
    own, plain = open_channel(runtime.mesh, token_source), open_channel(runtime.mesh)
    exchanges = Exchanges(gateway, settings, load_settings(ExchangeSettings), staged, own)
    data, upload = settings.journal_folder.parent, load_settings(UploadSettings)
    sources = SourceDoors(gateway, data, load_settings(SourceSettings), upload, own)
    background = [gateway.run, *exchanges.background, *sources.background]
    cache: DiskCache | None = None
    if settings.http_listen is not None:
        web = load_settings(DicomwebSettings)
        cache = open_cache(settings.journal_folder, web)
        callers = HttpCallers(Verifier(runtime.jwks_file), RemoteAuditTrail(own))
        uploads = UploadDoors(gateway, settings.journal_folder / "uploads", upload, callers)
        behind = Behind(
            callers=callers,
            own=own,
            plain=plain,
            blobs=blobs,
            intake=gateway.part10,
            handover=gateway.intake,
            folder=settings.journal_folder,
        )
        routes = [
            *uploads.routes,
            *sources.routes(callers),
            *dicomweb_routes(behind, web, cache),
        ]
        viewer = OhifSite(load_settings(OhifSettings), Verifier(runtime.jwks_file))
        http = HttpServer(settings.http_listen, settings.page_folder, own, plain, routes, viewer)
        await http.start()
        background += [http.run, *uploads.background]

    def add_servicers(server: grpc.aio.Server) -> None:
        gateway.add_servicers(server)
        exchanges.add_servicers(server)
        sources.add_servicers(server)
        add_DicomWebCacheServiceServicer_to_server(DicomWebCacheService(cache), server)

    await serve(
        runtime,
        add_servicers,
        hooks=Hooks(background=background, gathers=[gateway.gather]),
    )


def _staging_store(blobs: BlobStore, settings: GatewaySettings, free_bytes: int) -> LocalBlobs:
    """Return where instances are staged: the shared folder, or a spool of our own.

    Raises:
        UnsupportedBlobStoreError: There is no folder to stage in.
    """
    if settings.spool is not None and settings.content == "chunks":
        spool = LocalBlobs(settings.spool, free_bytes=free_bytes)
        # What lies in a spool is deleted once the coordinator has it.
        if isinstance(blobs, LocalBlobs) and spool.folder.samefile(blobs.folder):
            raise UnsupportedBlobStoreError
        return spool
    if settings.spool is None and isinstance(blobs, LocalBlobs):
        return blobs
    raise UnsupportedBlobStoreError


if __name__ == "__main__":
    run(main)

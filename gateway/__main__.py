"""Runs the gateway: ``python -m gateway``."""

from __future__ import annotations

import grpc

from gateway.dicomweb.door import Behind, dicomweb_routes
from gateway.dicomweb.settings import DicomwebSettings
from gateway.dimse.settings import DicomSettings
from gateway.doors import SourceDoors, UploadDoors
from gateway.exchanges import Exchanges
from gateway.gateway import Gateway
from gateway.http.permitted import HttpCallers
from gateway.http.server import HttpServer
from gateway.peers.settings import ExchangeSettings
from gateway.settings import GatewaySettings
from gateway.sources.settings import SourceSettings
from gateway.upload.settings import UploadSettings
from services.runtime.audit_client import RemoteAuditTrail
from services.runtime.blobs import open_blobs
from services.runtime.client import open_channel
from services.runtime.local_blobs import LocalBlobs
from services.runtime.logs import configure_logs
from services.runtime.server import Hooks, run, serve
from services.runtime.settings import RuntimeSettings, load_settings
from services.runtime.token_source import FileTokenSource
from services.runtime.tokens import Verifier


class UnsupportedBlobStoreError(Exception):
    """The gateway stages on a disk of its own; give it a file:// folder and ``chunks``."""


async def main() -> None:
    """Serve until SIGTERM."""
    runtime, settings = load_settings(RuntimeSettings), load_settings(GatewaySettings)
    configure_logs(runtime.log_level, runtime.service_name)
    blobs = open_blobs(runtime.blobs, free_bytes=runtime.blobs_free_bytes)
    if not isinstance(blobs, LocalBlobs):
        raise UnsupportedBlobStoreError
    token_source = FileTokenSource(runtime.token_file)
    gateway = Gateway(settings, blobs, token_source, runtime.mesh, load_settings(DicomSettings))
    await gateway.start()
    own, plain = open_channel(runtime.mesh, token_source), open_channel(runtime.mesh)
    exchanges = Exchanges(gateway, settings, load_settings(ExchangeSettings), blobs, own)
    data, upload = settings.journal_folder.parent, load_settings(UploadSettings)
    sources = SourceDoors(gateway, data, load_settings(SourceSettings), upload, own)
    background = [gateway.run, *exchanges.background, *sources.background]
    if settings.http_listen is not None:
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
            *dicomweb_routes(behind, load_settings(DicomwebSettings)),
        ]
        http = HttpServer(settings.http_listen, settings.page_folder, own, plain, routes)
        await http.start()
        background += [http.run, *uploads.background]

    def add_servicers(server: grpc.aio.Server) -> None:
        exchanges.add_servicers(server)
        sources.add_servicers(server)

    await serve(
        runtime,
        add_servicers,
        hooks=Hooks(background=background, gathers=[gateway.gather]),
    )


if __name__ == "__main__":
    run(main)

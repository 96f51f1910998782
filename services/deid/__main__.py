"""Runs the de-identification service."""

from __future__ import annotations

from dataclasses import replace

import grpc

from heimdallr.deid.v1 import deidentification_service_pb2_grpc as pb_grpc
from heimdallr.deid.v1 import outbound_service_pb2_grpc
from services.deid.key_ring import KeyRing
from services.deid.outbound.image_release import Pictures
from services.deid.outbound.service import OutboundService
from services.deid.processes import Processes
from services.deid.service import DeidentificationService
from services.deid.settings import DeidSettings
from services.runtime.blobs import open_blobs
from services.runtime.logs import configure_logs
from services.runtime.server import run, serve
from services.runtime.settings import RuntimeSettings, load_settings
from services.runtime.workspaces import Workspaces


async def main() -> None:
    """Serve until told to stop."""
    runtime, settings = load_settings(RuntimeSettings), load_settings(DeidSettings)
    configure_logs(runtime.log_level, runtime.service_name)
    blobs = open_blobs(runtime.blobs, free_bytes=runtime.blobs_free_bytes)
    workspaces = Workspaces(settings.work_folder)
    keys = KeyRing(settings.keys_folder)
    service = DeidentificationService(blobs, workspaces, keys, settings)
    limits = replace(settings.limits, processes=1)
    pictures = Pictures(blobs, workspaces, Processes(limits, settings.work_folder))
    outbound = OutboundService(pictures)

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_DeidentificationServiceServicer_to_server(service, server)
        outbound_service_pb2_grpc.add_OutboundServiceServicer_to_server(outbound, server)

    try:
        await serve(runtime, add)
    finally:
        await service.close()
        await pictures.close()
        workspaces.close()


if __name__ == "__main__":
    run(main, starts_programs=True)

"""Runs the conversion service."""

from __future__ import annotations

import grpc

from heimdallr.conversion.v1 import conversion_service_pb2_grpc as pb_grpc
from services.conversion.headers import keep_pydicom_quiet
from services.conversion.service import ConversionService
from services.conversion.settings import ConversionSettings
from services.runtime.blobs import open_blobs
from services.runtime.logs import configure_logs
from services.runtime.server import run, serve
from services.runtime.settings import RuntimeSettings, load_settings
from services.runtime.workspaces import Workspaces


async def main() -> None:
    """Serve until told to stop."""
    runtime, settings = load_settings(RuntimeSettings), load_settings(ConversionSettings)
    configure_logs(runtime.log_level, runtime.service_name)
    keep_pydicom_quiet()
    blobs = open_blobs(runtime.blobs, free_bytes=runtime.blobs_free_bytes)
    workspaces = Workspaces(settings.work_folder)
    service = ConversionService(blobs, workspaces, settings)

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_ConversionServiceServicer_to_server(service, server)

    try:
        await serve(runtime, add)
    finally:
        await service.close()
        workspaces.close()


if __name__ == "__main__":
    run(main, starts_programs=True)

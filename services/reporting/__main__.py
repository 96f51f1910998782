"""Runs the reporting service."""

from __future__ import annotations

import grpc

from heimdallr.reporting.v1 import reporting_service_pb2_grpc as pb_grpc
from services.reporting.service import ReportingService
from services.reporting.settings import ReportingSettings
from services.runtime.blobs import open_blobs
from services.runtime.logs import configure_logs
from services.runtime.server import run, serve
from services.runtime.settings import RuntimeSettings, load_settings


async def main() -> None:
    """Serve until told to stop."""
    runtime, settings = load_settings(RuntimeSettings), load_settings(ReportingSettings)
    configure_logs(runtime.log_level, runtime.service_name)
    blobs = open_blobs(runtime.blobs, free_bytes=runtime.blobs_free_bytes)
    service = ReportingService(blobs, settings)

    def add(server: grpc.aio.Server) -> None:
        pb_grpc.add_ReportingServiceServicer_to_server(service, server)

    await serve(runtime, add)


if __name__ == "__main__":
    run(main)

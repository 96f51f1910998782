"""The coordinator's process: alone, with nothing but its database."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.archive.v1 import archive_service_pb2 as archive_pb
from heimdallr.archive.v1 import archive_service_pb2_grpc as archive_grpc
from heimdallr.events.v1 import events_service_pb2 as events_pb
from heimdallr.events.v1 import events_service_pb2_grpc as events_grpc
from services.coordinator.assembly import PACKAGES
from services.runtime.client import MeshChannel, open_channel
from tests.support.postgres import postgres_dsn, postgres_server_dsn
from tests.support.tokens import TestTokens

__all__ = ["postgres_dsn", "postgres_server_dsn"]

pytestmark = pytest.mark.postgres


def _environment(folder: Path, dsn: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "HEIMDALLR_SERVICE_NAME": "coordinator",
        "HEIMDALLR_LISTEN": f"unix:{folder}/c.sock",
        "HEIMDALLR_MESH": f"unix:{folder}/nobody.sock",
        "HEIMDALLR_TOKEN_FILE": str(folder / "token"),
        "HEIMDALLR_JWKS_FILE": str(folder / "jwks.json"),
        "HEIMDALLR_BLOBS": (folder / "blobs").as_uri(),
        "HEIMDALLR_BLOBS_FREE_BYTES": "0",
        "HEIMDALLR_GRACE_S": "2",
        "HEIMDALLR_DATABASE_DSN": dsn,
        "HEIMDALLR_COORDINATOR_ISSUER_KEY_FILE": str(folder / "signing.pem"),
        "HEIMDALLR_COORDINATOR_SIGN_IN_FILE": str(folder / "sign-in"),
    }


@asynccontextmanager
async def _coordinator(folder: Path, dsn: str) -> AsyncIterator[asyncio.subprocess.Process]:
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.coordinator",
            env=_environment(folder, dsn),
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _serving(folder: Path, process: asyncio.subprocess.Process) -> None:
    async with grpc.aio.insecure_channel(f"unix:{folder}/c.sock") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        async with asyncio.timeout(60):
            while True:
                assert process.returncode is None, (folder / "log").read_text()
                with suppress(grpc.aio.AioRpcError):
                    reply = await check(health_pb2.HealthCheckRequest())
                    if reply.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                await asyncio.sleep(0.1)


def _channel(folder: Path, tokens: TestTokens) -> MeshChannel:
    permissions = (Permission.PERMISSION_ARCHIVE_READ, Permission.PERMISSION_EVENTS_READ)
    return open_channel(f"unix:{folder}/c.sock", tokens.source(*permissions))


async def test_serves_once_migrated_and_stops_while_a_watch_is_open(
    tmp_path: Path, postgres_dsn: str
) -> None:
    tokens = TestTokens.create(tmp_path)
    async with _coordinator(tmp_path, postgres_dsn) as process:
        await _serving(tmp_path, process)
        connection = await asyncpg.connect(postgres_dsn)
        schemas = {row[0] for row in await connection.fetch("SELECT nspname FROM pg_namespace")}
        await connection.close()
        async with _channel(tmp_path, tokens) as channel:
            studies = archive_grpc.ArchiveServiceStub(channel)
            reply = await studies.ListStudies(archive_pb.ListStudiesRequest())
            watch = events_grpc.EventsServiceStub(channel).WatchEvents(
                events_pb.WatchEventsRequest()
            )
            first = await watch.read()
            process.send_signal(signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await watch.read()
            code = await asyncio.wait_for(process.wait(), 20)

    assert {package.rpartition(".")[2] for package in PACKAGES} <= schemas
    assert list(reply.studies) == []
    assert isinstance(first, events_pb.WatchEventsResponse)
    assert not first.HasField("event")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert code == 0, (tmp_path / "log").read_text()


async def test_connections_that_break_do_not_end_the_process(
    tmp_path: Path, postgres_dsn: str
) -> None:
    tokens = TestTokens.create(tmp_path)
    async with _coordinator(tmp_path, postgres_dsn) as process:
        await _serving(tmp_path, process)
        connection = await asyncpg.connect(postgres_dsn)
        async with _channel(tmp_path, tokens) as channel:
            studies = archive_grpc.ArchiveServiceStub(channel)
            for _ in range(3):
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await asyncio.sleep(1)
            reply = await studies.ListStudies(archive_pb.ListStudiesRequest())
        await connection.close()

        assert process.returncode is None
        assert list(reply.studies) == []

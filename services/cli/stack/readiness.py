"""Questions that tell whether a process does its work: each answers, and none raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import asyncpg
import grpc
from grpc_health.v1 import health_pb2

from services.runtime.mesh_address import open_transport

Probe = Callable[[], Awaitable[bool]]

_TIMEOUT_S: Final = 2.0
# Each question opens its own connection: a shared one would wait out its reconnect backoff.
_CHANNEL_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)


def grpc_serving(address: str) -> Probe:
    """Return a probe: does ``grpc.health.v1.Health.Check`` say SERVING?

    Args:
        address: "unix:/path" or "mtls:/folder@host:port".
    """

    async def probe() -> bool:
        try:
            async with open_transport(address, _CHANNEL_OPTIONS) as channel:
                # Spelled out: the published type stubs know the messages and not the service.
                check = channel.unary_unary(
                    "/grpc.health.v1.Health/Check",
                    request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                    response_deserializer=health_pb2.HealthCheckResponse.FromString,
                )
                answer = await check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except (grpc.aio.AioRpcError, OSError):
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return probe


def http_ok(path: str, *, socket: Path | None = None, port: int = 0) -> Probe:
    """Return a probe: does GET ``path`` on a Unix socket, or a loopback port, answer 200?"""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await _status_line(path, socket, port) == b"200"
        except (OSError, TimeoutError):
            return False

    return probe


def database_answers(dsn: str) -> Probe:
    """Return a probe: does PostgreSQL accept a connection and answer a query?"""

    async def probe() -> bool:
        try:
            connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            return bool(await connection.fetchval("SELECT 1", timeout=_TIMEOUT_S) == 1)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        finally:
            connection.terminate()

    return probe


async def _status_line(path: str, socket: Path | None, port: int) -> bytes:
    if socket is not None:
        reader, writer = await asyncio.open_unix_connection(socket)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        words = (await reader.readline()).split()
    finally:
        writer.close()
    return words[1] if len(words) > 1 else b""

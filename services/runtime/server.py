"""One way to run a gRPC server of the mesh.

A service's ``__main__`` is::

    async def main() -> None:
        settings = load_settings(RuntimeSettings)
        await serve(settings, lambda server: add_X_to_server(XService(...), server))

    run(main)
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime import logs, telemetry
from services.runtime.audit import AuditTrail
from services.runtime.audit_client import RemoteAuditTrail
from services.runtime.client import (
    MAX_MESSAGE_BYTES,
    MAX_METADATA_BYTES,
    MeshChannel,
    open_channel,
)
from services.runtime.interceptors.audit import AuditInterceptor
from services.runtime.interceptors.caller import CallerInterceptor
from services.runtime.interceptors.deadlines import DeadlineInterceptor
from services.runtime.interceptors.errors import ErrorInterceptor
from services.runtime.interceptors.logs import LogInterceptor
from services.runtime.interceptors.metrics import MetricsInterceptor
from services.runtime.interceptors.traces import TraceInterceptor
from services.runtime.listening import listen
from services.runtime.metrics_endpoint import Gather, disk_gathers, exposed
from services.runtime.open_health import OpenHealth
from services.runtime.registry import Registry
from services.runtime.settings import RuntimeSettings
from services.runtime.token_source import FileTokenSource
from services.runtime.tokens import Verifier

SERVING: Final = "server.serving"
DRAINING: Final = "server.draining"
STOPPED: Final = "server.stopped"
TASK_DIED: Final = "server.task_died"
EXIT_FAILED: Final = 1

Background = Callable[[], Coroutine[Any, Any, None]]
AddServicers = Callable[[grpc.aio.Server], None]


class BackgroundTaskError(Exception):
    """A task that has to run as long as the server does has ended."""


@dataclass(slots=True)
class Hooks:
    """What a service may add to its server.

    Attributes:
        background: Tasks that run as long as the server; when one ends, the process fails so that
            it is started again.
        started: Called with the address once calls are served.
        draining: Set when the server begins to stop; streams that never end by themselves should
            end then.
        gathers: Asked for figures before each answer to Prometheus.
    """

    background: Sequence[Background] = ()
    started: Callable[[str], None] | None = None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    gathers: Sequence[Gather] = ()


async def serve(
    settings: RuntimeSettings,
    add_servicers: AddServicers,
    *,
    trail: AuditTrail | None = None,
    hooks: Hooks | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Args:
        settings: Where to listen, whom to trust.
        add_servicers: Adds the service's servicers to the server it is given.
        trail: Where audited calls are kept; the mesh's audit service unless given.
        hooks: What else runs with the server.

    Raises:
        UndeclaredMethodError: An RPC names no permission or no audit action.
        AddressInUseError: Something else listens there.
        BackgroundTaskError: A background task ended.
    """
    logs.configure_logs(settings.log_level, settings.service_name)
    hooks = hooks or Hooks()
    channel: MeshChannel | None = None
    if trail is None:
        channel = open_channel(settings.mesh, FileTokenSource(settings.token_file))
        trail = RemoteAuditTrail(channel)
    try:
        async with telemetry.exported(
            settings.otlp_endpoint, settings.service_name, settings.otlp_share
        ):
            await Server(settings, add_servicers, trail).run(hooks)
    finally:
        if channel is not None:
            await channel.close()


class Server:
    """A gRPC server with everything of the mesh around its servicers."""

    def __init__(
        self, settings: RuntimeSettings, add_servicers: AddServicers, trail: AuditTrail
    ) -> None:
        self._settings = settings
        self._audit = AuditInterceptor(trail, settings.service_name)
        self._server = grpc.aio.server(
            interceptors=[
                MetricsInterceptor(),
                *([TraceInterceptor()] if settings.otlp_endpoint is not None else []),
                LogInterceptor(),
                ErrorInterceptor(),
                DeadlineInterceptor(settings.unary_deadline_s),
                CallerInterceptor(Verifier(settings.jwks_file), trail, settings.service_name),
                self._audit,
            ],
            options=_options(),
            maximum_concurrent_rpcs=settings.max_concurrent_calls,
        )
        self._health = OpenHealth()
        self._names = self._register(add_servicers)

    async def run(self, hooks: Hooks) -> None:
        """Serve until a signal or the end of a background task."""
        settings = self._settings
        disk = disk_gathers(settings.blobs, settings.blobs_free_bytes, settings.blobs_low_bytes)
        async with exposed(settings.metrics_listen, (*hooks.gathers, *disk)):
            with _stop_signal() as stop:
                await self._serve(hooks, stop)

    async def _serve(self, hooks: Hooks, stop: asyncio.Event) -> None:
        address = listen(self._server, self._settings.listen)
        await self._server.start()
        tasks = [asyncio.create_task(start()) for start in hooks.background]
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        logs.get_logger().info(SERVING)
        if hooks.started is not None:
            hooks.started(address)
        try:
            await _until_stopped(stop, tasks)
        finally:
            hooks.draining.set()
            await self._drain(tasks)

    def _register(self, add_servicers: AddServicers) -> tuple[str, ...]:
        registry = Registry(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, registry)
        add_servicers(registry)
        names = (*registry.service_names, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, registry)
        registry.close()
        return names

    async def _drain(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        logs.get_logger().info(DRAINING, grace_s=self._settings.grace_s)
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.stop(self._settings.grace_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._audit.drain()
        logs.get_logger().info(STOPPED)

    async def _set_health(self, status: int) -> None:
        for name in ("", *self._names):
            await self._health.set(name, status)


@contextmanager
def _stop_signal() -> Iterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _until_stopped(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    for task in tasks:
        if task.done():
            error = task.exception() if not task.cancelled() else None
            logs.get_logger().error(TASK_DIED, **(logs.failure(error) if error else {}))
            raise BackgroundTaskError


def run(main: Callable[[], Awaitable[None]], *, starts_programs: bool = False) -> None:
    """Run a service's main function and leave with 0, or with 1 when it failed.

    Args:
        main: What it does.
        starts_programs: Whether it starts other programs. libuv's loop would run code of ours
            between fork and exec, where gRPC's threads may hold any lock; asyncio's does not.
    """

    async def awaited() -> None:
        await main()

    logs.configure_logs("INFO", "starting")
    try:
        new_loop = asyncio.new_event_loop if starts_programs else _libuv_loop
        with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(awaited())
    except BackgroundTaskError:
        raise SystemExit(EXIT_FAILED) from None
    except Exception as error:
        logs.get_logger().error(logs.UNCAUGHT, **logs.failure(error))
        sys.stderr.write(f"{type(error).__qualname__}\n")
        raise SystemExit(EXIT_FAILED) from None


def _libuv_loop() -> asyncio.AbstractEventLoop:
    """Return libuv's loop, which needs half of what asyncio's own does for reads and wake-ups."""
    # Its kernel threads would poll for work whether there is any or not.
    os.environ["UV_USE_IO_URING"] = "0"
    return uvloop.new_event_loop()


def _options() -> list[tuple[str, Any]]:
    return [
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", 2 * MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.so_reuseport", 0),
    ]

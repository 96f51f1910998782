"""A real server with the mesh's interceptors around servicers, and channels to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.audit import AuditTrail
from services.runtime.client import MeshChannel, open_channel
from services.runtime.server import AddServicers, Hooks, Server
from services.runtime.settings import RuntimeSettings
from services.runtime.token_source import FixedTokenSource
from tests.support.tokens import TestTokens
from tests.support.trail import ListTrail


def runtime_settings(folder: Path, tokens: TestTokens, **changes: Any) -> RuntimeSettings:
    """Return settings of a server that listens on a socket in a folder."""
    values: dict[str, Any] = {
        "service_name": "tested",
        "listen": f"unix:{folder}/s.sock",
        "mesh": f"unix:{folder}/mesh.sock",
        "token_file": folder / "token",
        "jwks_file": tokens.jwks_file,
        "blobs": f"file://{folder}/blobs",
        "blobs_free_bytes": 0,
        "grace_s": 1.0,
    }
    return RuntimeSettings(**(values | changes))


@dataclass(slots=True)
class RunningServer:
    """A server under test.

    Attributes:
        address: Where it listens.
        tokens: Makes tokens that it accepts.
        trail: What it audits, when no other trail was given.
    """

    address: str
    tokens: TestTokens
    trail: ListTrail
    channels: list[MeshChannel] = field(default_factory=list)

    def channel(self, *permissions: Permission.ValueType, subject: str = "tester") -> MeshChannel:
        """Open a channel of a caller with some permissions."""
        return self.bearer_channel(self.tokens.mint(*permissions, subject=subject))

    def bearer_channel(self, token: str | None) -> MeshChannel:
        """Open a channel that sends a token, or none."""
        source = FixedTokenSource(token) if token is not None else None
        self.channels.append(open_channel(self.address, source))
        return self.channels[-1]


@asynccontextmanager
async def running_server(
    folder: Path, add_servicers: AddServicers, *, trail: AuditTrail | None = None, **changes: Any
) -> AsyncIterator[RunningServer]:
    """Run a server on a socket in a folder; its channels are closed with it."""
    tokens = TestTokens.create(folder)
    list_trail = ListTrail()
    settings = runtime_settings(folder, tokens, **changes)
    started = asyncio.Event()
    hooks = Hooks(started=lambda _address: started.set())
    server = Server(settings, add_servicers, trail or list_trail)
    serving = asyncio.create_task(server.run(hooks))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    running = RunningServer(settings.listen, tokens, list_trail)
    try:
        if serving.done():
            await serving
        yield running
    finally:
        for channel in running.channels:
            await channel.close()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

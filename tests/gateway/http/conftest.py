"""The HTTP side on a port, before an access service that a test decides about."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from gateway.http.server import HttpServer
from heimdallr.access.v1 import access_service_pb2 as pb
from heimdallr.access.v1 import access_service_pb2_grpc as pb_grpc
from services.runtime.client import open_channel
from services.runtime.errors import LimitExceededError, ServiceError, UnauthenticatedError
from services.runtime.interceptors.errors import ErrorInterceptor
from services.runtime.token_source import FixedTokenSource

LINK, PERSON, RENEWED = "link-token", "person-token", "renewed-token"
"""Tokens as the double below knows them."""


@dataclass
class AccessDouble(pb_grpc.AccessServiceServicer):
    """An access service with one link, one password and one person."""

    error: ServiceError | None = None
    bearers: list[str] = field(default_factory=list)

    async def SignIn(self, request: pb.SignInRequest, context: Any) -> pb.SignInResponse:  # noqa: N802
        self._require(context, LINK)
        return pb.SignInResponse(token=_issued(PERSON))

    async def SignInWithPassword(  # noqa: N802
        self, request: pb.SignInWithPasswordRequest, context: Any
    ) -> pb.SignInWithPasswordResponse:
        self._require(context, "gateway-token")
        if request.name == "limited":
            raise LimitExceededError("sign_in_attempts")
        if (request.name, request.password) != ("anna", "correct horse battery"):
            raise UnauthenticatedError
        return pb.SignInWithPasswordResponse(token=_issued(PERSON))

    async def RenewToken(  # noqa: N802
        self, request: pb.RenewTokenRequest, context: Any
    ) -> pb.RenewTokenResponse:
        self._require(context, PERSON)
        return pb.RenewTokenResponse(token=_issued(RENEWED))

    def _require(self, context: Any, token: str) -> None:
        if self.error is not None:
            raise self.error
        bearer = dict(context.invocation_metadata()).get("authorization", "")
        self.bearers.append(bearer)
        if bearer != f"Bearer {token}":
            raise UnauthenticatedError


@dataclass
class Browser:
    """A client of the HTTP side, and what lies behind it."""

    session: aiohttp.ClientSession
    host: str
    access: AccessDouble
    folder: Path

    def cookie(self) -> str | None:
        """Return the session's cookie as the browser keeps it."""
        for held in self.session.cookie_jar:
            if held.key == "heimdallr_session":
                return held.value
        return None


@pytest.fixture
def page_folder(tmp_path: Path) -> Path:
    """A built page."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "assets/index-d1gest.js").write_text("export {};" * 100)
    (folder / "assets/index-d1gest.js.gz").write_bytes(b"\x1f\x8bgzipped")
    (folder / ".env").write_text("secret")
    (tmp_path / "outside.txt").write_text("outside")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    return folder


@pytest.fixture
async def browser(tmp_path: Path, page_folder: Path) -> AsyncIterator[Browser]:
    """A browser, and a server on a free port."""
    access = AccessDouble()  # type: ignore[abstract]
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    pb_grpc.add_AccessServiceServicer_to_server(access, server)
    mesh = f"unix:{tmp_path}/mesh.sock"
    server.add_insecure_port(mesh)
    await server.start()
    own = open_channel(mesh, FixedTokenSource("gateway-token"))
    http = HttpServer("127.0.0.1:0", page_folder, own, open_channel(mesh))
    host = await http.start()
    running = asyncio.create_task(http.run())
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(
        f"http://{host}", cookie_jar=jar, auto_decompress=False
    ) as session:
        yield Browser(session, host, access, page_folder)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await server.stop(None)


def _issued(token: str) -> pb.IssuedToken:
    issued = pb.IssuedToken(token=token)
    issued.expire_time.FromSeconds(int(time.time()) + 3600)
    return issued

"""An upload door on a port, before a real gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.file_door import FileDoor
from gateway.http.permitted import HttpCallers
from gateway.http.server import HttpServer
from gateway.upload.http import PATH, UploadDoor
from gateway.upload.settings import UploadSettings
from gateway.upload.spool import UploadSpool
from gateway.upload.uploads import Uploads
from heimdallr.access.v1.permission_pb2 import Permission
from services.runtime.audit import AuditEntry, AuditOutcome
from services.runtime.client import open_channel
from services.runtime.tokens import Verifier
from tests.gateway.conftest import RunningGateway, Start
from tests.support.tokens import TestTokens

TUS = {"Tus-Resumable": "1.0.0"}
BODY = {"Content-Type": "application/offset+octet-stream"}


class Trail:
    """An audit trail in memory."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.denied: list[AuditEntry] = []

    async def begin(self, entry: AuditEntry) -> None:
        self.entries.append(entry)

    async def deny(self, entry: AuditEntry, outcome: AuditOutcome) -> None:
        self.denied.append(entry)

    async def end(self, entry_id: str, outcome: AuditOutcome) -> None:
        pass


@dataclass
class Client:
    """A client of the door, with the rights to upload."""

    session: aiohttp.ClientSession
    token: str
    spool: UploadSpool
    folder: Path
    gateway: RunningGateway
    tokens: TestTokens
    trail: Trail
    address: tuple[str, int]

    def headers(self, **more: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.token}", **TUS, **named}

    async def create(self, length: int) -> str:
        """Begin an upload and return its address."""
        headers = self.headers(Upload_Length=str(length))
        async with self.session.post(PATH, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return answer.headers["Location"]

    async def append(self, address: str, offset: int, data: bytes) -> tuple[int, int]:
        """Append a piece; return the status and how far the upload is."""
        headers = self.headers(Upload_Offset=str(offset)) | BODY
        async with self.session.patch(address, data=data, headers=headers) as answer:
            return answer.status, int(answer.headers.get("Upload-Offset", -1))

    async def offset(self, address: str) -> int:
        async with self.session.head(address, headers=self.headers()) as answer:
            assert answer.status == 200
            return int(answer.headers["Upload-Offset"])

    async def document(self, address: str) -> dict[str, Any]:
        async with self.session.get(address, headers=self.headers()) as answer:
            assert answer.status == 200, await answer.text()
            document: dict[str, Any] = await answer.json()
            return document

    async def done(self, address: str) -> dict[str, Any]:
        """Wait until it is known what became of an upload."""
        async with asyncio.timeout(30):
            while True:
                document = await self.document(address)
                if document["state"] == "done":
                    return document
                await asyncio.sleep(0.02)

    async def upload(self, data: bytes, piece: int = 1 << 20) -> dict[str, Any]:
        """Upload bytes and return what became of them."""
        address = await self.create(len(data))
        for start in range(0, len(data), piece):
            status, _ = await self.append(address, start, data[start : start + piece])
            assert status == 204
        return await self.done(address)


Serve = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serve(start_gateway: Start, tmp_path: Path) -> AsyncIterator[Serve]:
    """Give a function that opens the door, with the settings it is given."""
    running: list[asyncio.Task[None]] = []
    sessions: list[aiohttp.ClientSession] = []
    tokens = TestTokens.create(tmp_path)

    async def start(gateway: RunningGateway | None = None, **changes: Any) -> Client:
        gateway = gateway or await start_gateway()
        settings = UploadSettings(**{"free_bytes": 0, **changes})
        trail = Trail()
        spool = UploadSpool(tmp_path / "uploads", settings)
        uploads = Uploads(spool, FileDoor(gateway.gateway.part10, gateway.gateway.intake), settings)
        door = UploadDoor(uploads, HttpCallers(Verifier(tokens.jwks_file), trail), settings)
        nobody = f"unix:{tmp_path}/nobody.sock"
        http = HttpServer(
            "127.0.0.1:0", tmp_path, open_channel(nobody), open_channel(nobody), door.routes()
        )
        address = await http.start()
        running.extend([asyncio.create_task(http.run()), asyncio.create_task(uploads.run())])
        host, _, port = address.rpartition(":")
        session = aiohttp.ClientSession(f"http://{address}")
        sessions.append(session)
        token = tokens.mint(Permission.PERMISSION_ARCHIVE_WRITE, subject="anna")
        return Client(
            session, token, spool, tmp_path / "uploads", gateway, tokens, trail, (host, int(port))
        )

    yield start
    for session in sessions:
        await session.close()
    for task in running:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def everything_under(folder: Path) -> list[str]:
    """Return the name of each file below a folder."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*")]


def as_text(document: object) -> str:
    """Return a document as text, to be searched."""
    return json.dumps(document)

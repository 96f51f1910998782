"""The gateway as a process of its own is killed while somebody uploads, and while it unpacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from heimdallr.access.v1.permission_pb2 import Permission
from heimdallr.audit.v1 import audit_service_pb2 as audit_pb
from heimdallr.audit.v1 import audit_service_pb2_grpc as audit_grpc
from services.cli.uploading import Uploader, UploadError
from services.cli.zip_stream import Member, ZipStream
from tests.support.gateway_process import GatewayProcess
from tests.support.instances import ct_instance, part10
from tests.support.intake import IntakeDouble, IntakeServer
from tests.support.tokens import TestTokens

COUNT = 40


class Audit(audit_grpc.AuditServiceServicer):
    """A trail that takes everything."""

    async def BeginCall(self, request: Any, context: Any) -> audit_pb.BeginCallResponse:  # noqa: N802
        return audit_pb.BeginCallResponse()

    async def EndCall(self, request: Any, context: Any) -> audit_pb.EndCallResponse:  # noqa: N802
        return audit_pb.EndCallResponse()


@dataclass
class Running:
    """A gateway that can be killed, and what stands behind it."""

    process: GatewayProcess
    intake: IntakeDouble
    session: aiohttp.ClientSession

    async def restart(self) -> None:
        self.process.kill()
        await self.process.start()

    def anonymous_bytes(self) -> int:
        """Return the memory of the gateway that no file backs."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("RssAnon:")]
        return int(line.split()[1]) << 10


@pytest.fixture
async def running(short_folder: Path, tmp_path: Path) -> AsyncIterator[Running]:
    tokens = TestTokens.create(tmp_path)
    mesh = grpc.aio.server()
    audit_grpc.add_AuditServiceServicer_to_server(Audit(), mesh)  # type: ignore[abstract]
    mesh.add_insecure_port(f"unix:{short_folder}/mesh.sock")
    await mesh.start()
    intake = IntakeDouble(short_folder / "blobs")
    server = IntakeServer(intake, short_folder / "intake.sock")
    await server.start()
    process = GatewayProcess(
        short_folder,
        JWKS_FILE=str(tokens.jwks_file),
        GATEWAY_HTTP_LISTEN=f"unix:{short_folder}/http.sock",
        UPLOAD_FREE_BYTES="0",
    )
    await process.start()
    token = tokens.mint(Permission.PERMISSION_ARCHIVE_WRITE, subject="anna", lifetime_s=3600)
    async with aiohttp.ClientSession(
        "http://gateway",
        connector=aiohttp.UnixConnector(f"{short_folder}/http.sock"),
        headers={"Authorization": f"Bearer {token}"},
    ) as session:
        yield Running(process, intake, session)
    process.kill()
    await server.stop()
    await mesh.stop(None)


@pytest.fixture
def stream(tmp_path: Path) -> ZipStream:
    members = []
    for number in range(COUNT):
        path = tmp_path / f"{number:03}.dcm"
        path.write_bytes(part10(ct_instance(number=number, size=256)))
        members.append(Member(path, path.name, path.stat().st_size))
    return ZipStream(members)


async def test_a_kill_loses_nothing_of_an_upload_and_doubles_nothing(
    running: Running, stream: ZipStream
) -> None:
    uploader = Uploader(running.session, pause_s=0.2)
    upload_id = await uploader.begin(stream.size)
    restarts: list[asyncio.Task[None]] = []

    def kill(reached: int) -> None:
        if reached > stream.size // 2 and not restarts:
            restarts.append(asyncio.create_task(running.restart()))

    await uploader.send(upload_id, stream, kill)
    await asyncio.gather(*restarts)
    running.intake.delay_s = 0.02
    # Again while it is being unpacked, unless that is over already.
    while len(running.intake.rows) < COUNT // 4:  # noqa: ASYNC110 -- what is waited for is there
        await asyncio.sleep(0.01)
    await running.restart()
    outcome = await uploader.outcome(upload_id)

    assert len(restarts) == 1
    assert len(running.intake.rows) == COUNT
    assert running.intake.conflicts == []
    durable = outcome["stored"] + outcome["duplicates"] + outcome["journaled"]
    assert (durable, outcome["refused_count"]) == (COUNT, 0)
    with pytest.raises(UploadError):
        await uploader.send("0192f0c4-0000-7000-8000-000000000000", stream)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_five_gibibytes_grow_the_gateway_by_little(
    running: Running, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    running.intake.verify = False
    members = [sparse_instance(tmp_path / f"{number}.dcm", number) for number in range(10)]
    stream, before = ZipStream(members), running.anonymous_bytes()
    uploader = Uploader(running.session)
    most = before

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, running.anonymous_bytes())
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    begun = time.monotonic()
    upload_id = await uploader.begin(stream.size)
    await uploader.send(upload_id, stream)
    sent = time.monotonic()
    outcome = await uploader.outcome(upload_id)
    ended = time.monotonic()
    watching.cancel()

    figure(
        f"upload: {stream.size / 2**30:.1f} GiB sent in {sent - begun:.0f} s, "
        f"unpacked {ended - sent:.0f} s later; "
        f"the gateway grew by {(most - before) / 2**20:.0f} MiB"
    )
    assert stream.size > 5 << 30
    assert (outcome["stored"], outcome["failure"]) == (10, "")
    assert most - before < 256 << 20


def sparse_instance(path: Path, number: int) -> Member:
    """Write an image of 520 MiB of which the disk holds little."""
    frames, size = 1040, 512
    image = ct_instance(number=number, size=size)
    image.NumberOfFrames = frames
    head = part10(image)
    # The pixels come last; their length stands before them in four bytes.
    start = len(head) - size * size * 2
    length = frames * size * size * 2
    with path.open("wb") as file:
        file.write(head[: start - 4] + length.to_bytes(4, "little"))
        file.truncate(start + length)
    return Member(path, path.name, start + length)

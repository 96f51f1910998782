"""A gateway in this process with a real intake contract behind it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.dimse.settings import DicomSettings
from gateway.gateway import Gateway
from gateway.settings import GatewaySettings
from services.runtime.local_blobs import LocalBlobs
from tests.support.coordinator import CoordinatorDouble
from tests.support.intake import IntakeDouble, IntakeServer


@dataclass
class RunningGateway:
    """A gateway and its coordinator's intake."""

    port: int
    folder: Path
    gateway: Gateway
    intake: IntakeDouble
    server: IntakeServer
    coordinator: CoordinatorDouble
    task: asyncio.Task[None]

    async def stop(self) -> None:
        """End the gateway as SIGTERM does, and the coordinator's side."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await self.server.stop()

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def quarantine(self) -> Path:
        return self.journal / "quarantine"


Start = Callable[..., Awaitable[RunningGateway]]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose sockets fit into 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="hg"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def start_gateway(short_folder: Path) -> AsyncIterator[Start]:
    """Give a function that starts a gateway, with the settings it is given."""
    running: list[tuple[asyncio.Task[None], IntakeServer]] = []

    async def start(
        *,
        online: bool = True,
        free_bytes: int = 0,
        dicom: DicomSettings | None = None,
        **settings: Any,
    ) -> RunningGateway:
        blobs = LocalBlobs(short_folder / "blobs", free_bytes=free_bytes)
        double = IntakeDouble(short_folder / "blobs")
        coordinator = CoordinatorDouble()
        coordinator.conversion.blobs = short_folder / "blobs"
        server = IntakeServer(double, short_folder / "intake.sock", coordinator.add_to)
        if online:
            await server.start()
        gateway = Gateway(
            GatewaySettings(
                dicom_address="127.0.0.1:0",
                journal_folder=short_folder / "journal",
                intake_address=server.address,
                **settings,
            ),
            blobs,
            None,
            dicom=dicom,
        )
        port = await gateway.start()
        task = asyncio.create_task(gateway.run())
        running.append((task, server))
        if online:
            await until(lambda: gateway.intake.is_online)
        return RunningGateway(port, short_folder, gateway, double, server, coordinator, task)

    yield start
    for task, server in running:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await server.stop()


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 -- what is waited for lies outside this loop
            await asyncio.sleep(0.01)

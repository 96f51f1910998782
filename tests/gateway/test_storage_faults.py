"""A disk that cannot flush: nothing is acknowledged, and what is told is true again afterwards."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.gateway.conftest import until
from tests.support.gateway_process import GatewayProcess
from tests.support.instances import ct_instance, encoded
from tests.support.intake import IntakeDouble, IntakeServer
from tests.support.scu import Scu

SYNCS: Final = ("fsync", "fdatasync")
EIO: Final = 5


class FailingDisk:
    """A gateway whose flushes fail when told so, by libfiu."""

    def __init__(self, folder: Path) -> None:
        self._control = str(folder / "fiu")
        before = ("fiu-run", "-x", "-f", self._control)
        self.gateway = GatewayProcess(folder, before=before)

    def fail(self) -> None:
        self._tell(f"enable name=posix/io/sync/{{}},failinfo={EIO}")

    def work(self) -> None:
        self._tell("disable name=posix/io/sync/{}")

    def _tell(self, command: str) -> None:
        # fiu-run is a shell script: the gateway is what it runs.
        process = psutil.Process(self.gateway.pid)
        (python,) = process.children() or [process]
        for sync in SYNCS:
            tool = ["fiu-ctrl", "-f", self._control, "-c", command.format(sync), str(python.pid)]
            subprocess.run(tool, check=True, timeout=10)

    def stop(self) -> None:
        for process in psutil.Process(self.gateway.pid).children(recursive=True):
            process.kill()
        self.gateway.kill()


@pytest.fixture
async def disk(short_folder: Path) -> AsyncIterator[FailingDisk]:
    if shutil.which("fiu-run") is None:
        pytest.skip("libfiu is not installed (apt-get install fiu-utils)")
    failing = FailingDisk(short_folder)
    await failing.gateway.start()
    yield failing
    failing.stop()


async def test_what_could_not_be_flushed_is_never_acknowledged(
    disk: FailingDisk, short_folder: Path
) -> None:
    port = disk.gateway.port

    before = await asyncio.to_thread(_send, port, 2)
    disk.fail()
    meanwhile = await asyncio.to_thread(_send, port, 5)
    disk.work()
    after = await asyncio.to_thread(_send, port, 3)

    assert set(before.values()) == {0x0000}
    assert set(meanwhile.values()) == {0xA700}
    assert set(after.values()) == {0x0000}
    server = IntakeServer(IntakeDouble(short_folder / "blobs"), short_folder / "intake.sock")
    await server.start()
    await until(lambda: not list((short_folder / "journal").glob("*.journal")), 20)
    await server.stop()
    assert set(server.double.rows) == set(before) | set(after)


def _send(port: int, count: int) -> dict[str, int]:
    with Scu(port) as scu:
        scu.associate()
        datasets = [ct_instance(size=64, number=number) for number in range(count)]
        return {str(d.SOPInstanceUID): scu.store(encoded(d), d.SOPInstanceUID) for d in datasets}

"""The gateway as a process: killed at random moments, out of disk, stopped in order."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.conftest import until
from tests.support.gateway_process import GatewayProcess
from tests.support.instances import ct_instance, encoded
from tests.support.intake import IntakeDouble, IntakeServer
from tests.support.scu import Scu

KILLS = 8


@pytest.fixture
async def intake(short_folder: Path) -> AsyncIterator[IntakeServer]:
    server = IntakeServer(IntakeDouble(short_folder / "blobs"), short_folder / "intake.sock")
    await server.start()
    yield server
    await server.stop()


class Sender:
    """Sends different instances without end and notes which were acknowledged."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.seed = seed
        self.acknowledged: dict[str, str] = {}
        self.statuses: set[int] = set()
        self.done = False

    def run(self) -> None:
        number = 0
        while not self.done:
            number = self._over_one_association(number)

    def _over_one_association(self, number: int) -> int:
        try:
            with Scu(self.port) as scu:
                if scu.associate()[0] != 0x02:
                    return number
                while not self.done:
                    number += 1
                    dataset = ct_instance(size=128, number=number, seed=self.seed)
                    data = encoded(dataset)
                    status = scu.store(data, dataset.SOPInstanceUID)
                    self.statuses.add(status)
                    if status == -1:
                        return number
                    if status == 0:
                        digest = hashlib.sha256(data).hexdigest()
                        self.acknowledged[dataset.SOPInstanceUID] = digest
                scu.release()
        except OSError:
            pass
        return number


@pytest.mark.parametrize("content", ["staged", "chunks"])
async def test_what_was_acknowledged_survives_any_kill(
    short_folder: Path, intake: IntakeServer, content: str
) -> None:
    gateway = GatewayProcess(short_folder, GATEWAY_CONTENT=content)
    await gateway.start()
    senders = [Sender(gateway.port, seed) for seed in (1, 2)]
    sending = [asyncio.create_task(asyncio.to_thread(sender.run)) for sender in senders]

    moments = random.Random()  # noqa: S311 -- moments to kill at, nothing secret
    for kill in range(KILLS):
        await asyncio.sleep(moments.uniform(0.05, 0.5))
        if kill % 2:
            await intake.stop()
            await asyncio.sleep(moments.uniform(0.05, 0.3))
        gateway.kill()
        if kill % 2:
            await intake.start()
        await gateway.start()
    await asyncio.sleep(0.3)
    for sender in senders:
        sender.done = True
    await asyncio.gather(*sending)
    await until(lambda: not list((short_folder / "journal").glob("*.journal")), 20)

    acknowledged = {uid: digest for s in senders for uid, digest in s.acknowledged.items()}
    double = intake.double
    assert gateway.stop() == 0
    assert len(acknowledged) > KILLS
    assert set(acknowledged) <= set(double.rows)
    assert double.conflicts == []
    for uid, digest in acknowledged.items():
        sha256 = double.rows[uid]
        data = (
            double.received[sha256]
            if content == "chunks"
            else (short_folder / "blobs" / sha256[:2] / sha256).read_bytes()
        )
        assert hashlib.sha256(data).hexdigest() == sha256
        assert _data_set_digest(data) == digest
    assert "PHANTOM" not in gateway.log()
    assert "GATEWAY-1" not in gateway.log()


def _data_set_digest(file: bytes) -> str:
    length = int.from_bytes(file[140:144], "little")
    return hashlib.sha256(file[144 + length :]).hexdigest()


async def test_a_full_disk_is_a700_and_room_is_used_again(
    short_folder: Path, intake: IntakeServer
) -> None:
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("a small file system of our own needs root")
    intake.double.verify = False  # the file system is the gateway's alone
    mount = short_folder / "m"
    mount.mkdir()
    command = f'mount -t tmpfs -o size=4m tmpfs "{mount}" && exec "$@"'
    gateway = GatewayProcess(
        short_folder, data=mount, before=("unshare", "-m", "sh", "-c", command, "sh")
    )
    await gateway.start()
    inside = Path(f"/proc/{gateway.pid}/root{mount}/blobs")
    try:
        statuses = await asyncio.to_thread(_fill, gateway.port, 60)
        stored = {path.name: path for path in inside.glob("??/*")}

        assert set(statuses) == {0x0000, 0xA700}
        assert statuses.count(0x0000) == len(intake.double.rows) == len(stored)
        assert not list((inside / "incoming").iterdir())
        for sha256, path in stored.items():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256

        for path in list(stored.values())[:4]:
            path.unlink()
        assert (await asyncio.to_thread(_fill, gateway.port, 1)) == [0x0000]
        assert gateway.is_alive
    finally:
        gateway.kill()


def _fill(port: int, count: int) -> list[int]:
    with Scu(port) as scu:
        scu.associate()
        datasets = [ct_instance(size=256, number=number) for number in range(count)]
        return [scu.store(encoded(d), d.SOPInstanceUID) for d in datasets]


async def test_a_gateway_that_is_told_to_stop_finishes_what_it_has_begun(
    short_folder: Path, intake: IntakeServer
) -> None:
    gateway = GatewayProcess(short_folder)
    await gateway.start()
    sender = Sender(gateway.port, 1)
    sending = asyncio.create_task(asyncio.to_thread(sender.run))
    await asyncio.sleep(0.5)

    code = await asyncio.to_thread(gateway.stop)
    sender.done = True
    await sending

    assert code == 0
    assert sender.statuses <= {0x0000, -1}
    assert sender.acknowledged
    assert set(sender.acknowledged) <= set(intake.double.rows)
    assert "Traceback" not in gateway.log()

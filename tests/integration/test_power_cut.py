"""A power cut under load: whatever was acknowledged had been flushed, bytes, name and row."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.test_kill_soak import LEFT_OUT, Sender, drained, whole
from tests.support.power_cut import cut_power, traced
from tests.support.running_stack import RunningStack
from tests.support.studies import operator_channel

pytestmark = [pytest.mark.soak, pytest.mark.stack, pytest.mark.timeout(400)]

LOAD_S: Final = 8.0
ARGUMENTS: Final = tuple(word for name in LEFT_OUT for word in ("--without", name))


@pytest.fixture
def stack() -> Iterator[RunningStack]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    running = RunningStack(arguments=ARGUMENTS).start()
    yield running
    if running.is_running:
        running.kill_everything()
    shutil.rmtree(running.data.parent, ignore_errors=True)


async def test_what_was_acknowledged_survives_a_power_cut(
    stack: RunningStack, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    stopping = threading.Event()
    senders = [Sender(stack.dicom_port, seed, stopping) for seed in range(3)]

    with traced([stack.pid("gateway"), stack.pid("coordinator")], tmp_path / "trace"):
        for sender in senders:
            sender.start()
        await asyncio.sleep(LOAD_S)
        stack.kill_everything()
    stopping.set()
    for sender in senders:
        await asyncio.to_thread(sender.join, 60)
    sent = {uid: sha for sender in senders for uid, sha in sender.acknowledged.items()}
    hurt = cut_power((tmp_path / "trace").read_text(errors="replace"), stack.data)

    with RunningStack(data=stack.data, ports=stack.ports, arguments=ARGUMENTS) as again:
        async with operator_channel(again) as channel:
            found = await drained(channel, sorted(sent))
        assert {uid: blob.sha256 for uid, blob in found.items()} == sent
        assert [b.sha256 for b in found.values() if not whole(again.data, b.sha256)] == []
    assert len(sent) > 20
    figure(f"power cut: {len(sent)} acknowledged instances, 0 lost; {hurt} files lost bytes")


def test_what_was_not_flushed_is_gone(tmp_path: Path) -> None:
    flushed, unflushed, unnamed = (tmp_path / name for name in ("flushed", "unflushed", "unnamed"))
    for path in (flushed, unflushed, unnamed):
        path.write_bytes(b"12345678")
    lines = [
        *(f'1 openat(AT_FDCWD</>, "{p}", O_WRONLY|O_CREAT, 0600) = 3<{p}>' for p in (flushed,)),
        f'1 write(3<{flushed}>, "12345678", 8) = 8',
        f"2 fdatasync(3<{flushed}> <unfinished ...>",
        f'1 write(4<{unflushed}>, "1234", 4) = 4',
        f"1 fsync(4<{unflushed}>) = 0",
        f'1 write(4<{unflushed}>, "5678", 4) = 4',
        "2 <... fdatasync resumed>)              = 0",
        f"1 fsync(5<{tmp_path}>) = 0",
        f'1 rename("{tmp_path}/elsewhere", "{unnamed}") = 0',
        f"2 fsync(5<{tmp_path}> <unfinished ...>",
    ]

    hurt = cut_power("\n".join(lines), tmp_path)

    assert hurt == 2
    assert flushed.read_bytes() == b"12345678"
    assert unflushed.read_bytes() == b"1234"
    assert not unnamed.exists()

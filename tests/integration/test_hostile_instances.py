"""What a stranger sends through each door is stored whole or refused, and nothing else happens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.support.corpora import corpus
from tests.support.hostile_doors import DOORS, Door
from tests.support.hostile_instances import HostileInstance, hostile_instances
from tests.support.instances import CT, ct_instance, encoded
from tests.support.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

MAX_GROWTH_BYTES: Final = 256 << 20
OURS: Final = re.compile(r"[0-9a-f]{64}(\..*)?|[a-z]+(/[a-z]+)?")
"""Content hashes, and what the store keeps for itself."""


@pytest.fixture(scope="module")
def instances() -> list[HostileInstance]:
    return list(hostile_instances())


@pytest.fixture(scope="module", params=DOORS, ids=lambda door: door.__name__)
def door(request: pytest.FixtureRequest, stack: RunningStack) -> Door:
    make: Callable[[RunningStack], Door] = request.param
    return make(stack)


async def test_each_is_stored_or_refused_and_the_next_sender_is_served(
    stack: RunningStack, door: Door, instances: list[HostileInstance]
) -> None:
    before = _processes(stack)

    outcomes = await asyncio.to_thread(lambda: [_sent(door, one) for one in instances])

    wrong = {
        one.name: stored
        for one, (stored, _) in zip(instances, outcomes, strict=True)
        if stored is not _may_be_stored(one, door)
    }
    assert wrong == {}
    assert all(control for _, control in outcomes)
    assert _processes(stack).keys() == before.keys()
    for pid, size in _processes(stack).items():
        assert size - before[pid] < MAX_GROWTH_BYTES


async def test_nothing_lies_where_a_sender_wanted_it(stack: RunningStack) -> None:
    blobs = stack.data / "blobs"
    stored = [path.relative_to(blobs) for path in blobs.rglob("*") if path.is_file()]

    assert stored
    assert [path for path in stored if not OURS.fullmatch(path.name)] == []
    assert not [path for path in stored if path.name in ("x", "evil", "passwd")]
    assert not Path("/tmp/heimdallr-was-here").exists()
    assert not Path("/tmp/evil").exists()


async def test_the_logs_say_nothing_of_what_was_sent(stack: RunningStack) -> None:
    logs = "\n".join(stack.logs().values())

    for text in ("alert(1)", "DROP TABLE", "heimdallr-was-here", "txt.exe", "../../../x"):
        assert text not in logs
    assert "Traceback" not in logs


@pytest.mark.soak
@pytest.mark.corpora
@pytest.mark.timeout(1200)
async def test_every_hostile_file_gets_a_definite_answer_and_harms_nobody(
    stack: RunningStack, door: Door
) -> None:
    before = _processes(stack)
    files = [path for path in corpus("hostile").rglob("*") if path.is_file()]

    outcomes = await asyncio.to_thread(lambda: [_sent_file(door, path) for path in files])

    assert len(outcomes) > 300
    assert all(outcomes)
    assert _processes(stack).keys() == before.keys()
    for pid, size in _processes(stack).items():
        assert size - before[pid] < MAX_GROWTH_BYTES


def _sent_file(door: Door, path: Path) -> bool:
    """Send a file as it is; return whether the next sender is served."""
    door.send_file(path.read_bytes())
    return door.send(_control())


def _control() -> HostileInstance:
    control = ct_instance(size=8)
    uid = str(control.SOPInstanceUID)
    return HostileInstance("control", encoded(control), True, CT, uid)


def _may_be_stored(instance: HostileInstance, door: Door) -> bool:
    if door.takes_files and instance.in_a_file is not None:
        return instance.in_a_file
    return instance.stored


def _sent(door: Door, instance: HostileInstance) -> tuple[bool, bool]:
    return door.send(instance), door.send(_control())


def _processes(stack: RunningStack) -> dict[int, int]:
    pids = [process.pid for process in stack.state.processes if process.pid is not None]
    return {pid: psutil.Process(pid).memory_info().rss for pid in pids}

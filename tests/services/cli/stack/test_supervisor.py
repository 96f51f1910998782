from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.cli.stack import supervisor as module
from services.cli.stack.command import Command
from services.cli.stack.layout import Layout
from services.cli.stack.process import ProcessSpec, ProcessStatus, State
from services.cli.stack.supervisor import Supervisor

_WAVES = (frozenset({"second"}), frozenset({"first"}))


class Toys:
    """Two processes, the second of which comes after the first."""

    def __init__(self, folder: Path) -> None:
        self.first_is_ready = False
        self.seen: list[tuple[str, State]] = []
        specs = [
            self._spec(folder, "second", self._yes, ("first",)),
            self._spec(folder, "first", self._first),
        ]
        self.supervisor = Supervisor(specs, _WAVES, Layout(folder, folder), self._note)

    def _spec(
        self,
        folder: Path,
        name: str,
        probe: Callable[[], Awaitable[bool]],
        after: tuple[str, ...] = (),
    ) -> ProcessSpec:
        async def prepare() -> Command:
            return Command((sys.executable, "-c", "import time; time.sleep(60)"), {})

        return ProcessSpec(name, prepare, probe, workdir=folder, after=after)

    async def _yes(self) -> bool:
        return True

    async def _first(self) -> bool:
        return self.first_is_ready

    def _note(self, status: ProcessStatus) -> None:
        self.seen.append((status.name, status.state))


async def test_a_process_starts_once_those_before_it_are_ready(tmp_path: Path) -> None:
    toys = Toys(tmp_path)
    toys.supervisor.start()
    await asyncio.sleep(0.3)
    early = toys.supervisor.status("second").state

    toys.first_is_ready = True
    await asyncio.wait_for(toys.supervisor.ready(), 10)
    await toys.supervisor.stop()

    assert early is State.WAITING
    assert toys.seen.index(("first", State.READY)) < toys.seen.index(("second", State.STARTING))


async def test_processes_stop_in_waves(tmp_path: Path) -> None:
    toys = Toys(tmp_path)
    toys.first_is_ready = True
    toys.supervisor.start()
    await asyncio.wait_for(toys.supervisor.ready(), 10)

    await toys.supervisor.stop()

    assert toys.seen[-2:] == [("second", State.STOPPED), ("first", State.STOPPED)]


async def test_the_order_is_given_up_when_one_never_gets_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ORDER_PATIENCE_S", 0.2)
    toys = Toys(tmp_path)
    toys.supervisor.start()

    async with asyncio.timeout(10):
        while toys.supervisor.status("second").state is not State.READY:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await toys.supervisor.stop()

    assert toys.supervisor.status("first").state is State.STOPPED


async def test_a_stop_before_anything_is_ready_ends_soon(tmp_path: Path) -> None:
    toys = Toys(tmp_path)
    toys.supervisor.start()
    await asyncio.sleep(0.1)
    began = time.monotonic()

    await toys.supervisor.stop()

    assert time.monotonic() - began < 5
    assert toys.supervisor.status("first").pid is None

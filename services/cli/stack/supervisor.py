"""All processes of a stack: started in order of readiness, stopped in waves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from services.cli.stack.layout import Layout
from services.cli.stack.logs import RotatingLog
from services.cli.stack.process import Child, ProcessSpec, ProcessStatus, State

ORDER_PATIENCE_S: Final = 20.0
"""How long a process waits for those it should come after.

The order spares noise; it is no condition: the gateway takes instances into its journal
while the coordinator is away.
"""

OnChange = Callable[[ProcessStatus], None]


class Supervisor:
    """Runs the processes of a plan.

    Args:
        specs: The processes.
        waves: Names in the order in which they are stopped; those of a wave stop together.
        layout: Where logs go.
        on_change: Told of each change of state.
    """

    def __init__(
        self,
        specs: Iterable[ProcessSpec],
        waves: Sequence[frozenset[str]],
        layout: Layout,
        on_change: OnChange,
    ) -> None:
        self._waves = waves
        self._children = {
            spec.name: Child(spec, RotatingLog(layout.log(spec.name)), on_change) for spec in specs
        }
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def statuses(self) -> list[ProcessStatus]:
        """State of each process, in the order of the plan."""
        return [child.status for child in self._children.values()]

    def status(self, name: str) -> ProcessStatus:
        """Return the state of one process.

        Raises:
            KeyError: If the plan has no such process.
        """
        return self._children[name].status

    def start(self) -> None:
        """Start every process as soon as those before it are ready."""
        for name, child in self._children.items():
            self._tasks[name] = asyncio.create_task(self._run(child), name=f"supervise {name}")

    async def ready(self) -> None:
        """Wait until every process is ready."""
        for child in self._children.values():
            await child.ready.wait()

    async def stop(self) -> None:
        """Stop wave after wave; each process has its own grace before it is killed."""
        for wave in self._waves:
            await self._stop_wave(wave & self._children.keys())

    def kill(self) -> None:
        """Kill everything at once."""
        for child in self._children.values():
            child.kill()

    async def _run(self, child: Child) -> None:
        before = [self._children[name] for name in child.spec.after if name in self._children]
        try:
            async with asyncio.timeout(ORDER_PATIENCE_S):
                for other in before:
                    await other.ready.wait()
        except TimeoutError:
            pass
        await child.run()

    async def _stop_wave(self, names: Iterable[str]) -> None:
        await asyncio.gather(*(self._stop_child(name) for name in names))

    async def _stop_child(self, name: str) -> None:
        child, task = self._children[name], self._tasks.get(name)
        await child.stop()
        if task is None:
            return
        if child.status.state is not State.WAITING:
            await asyncio.wait([task], timeout=child.spec.grace_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

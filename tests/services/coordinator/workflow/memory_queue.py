"""The queue without a database: what `JobQueue` promises, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.coordinator.workflow.queue import Job, QueueItem
from services.coordinator.workflow.stages import StageKind


@dataclass
class MemoryQueue:
    """Satisfies `JobQueue`; delays are ignored and leases end by `expire`."""

    waiting: dict[int, QueueItem] = field(default_factory=dict)
    held: dict[int, QueueItem] = field(default_factory=dict)
    kept: Counter[int] = field(default_factory=Counter)
    last_id: int = 0

    async def enqueue(self, connection: Any, items: Sequence[QueueItem]) -> None:
        for item in items:
            known = [*self.waiting.values(), *self.held.values()]
            if (item.stage_id, item.turn) not in [(one.stage_id, one.turn) for one in known]:
                self.last_id += 1
                self.waiting[self.last_id] = item

    async def finish(self, connection: Any, job: Job) -> None:
        self.held.pop(job.job_id, None)

    async def take(
        self, count: int, limits: Mapping[StageKind, int], *, urgent_only: bool
    ) -> list[Job]:
        busy = Counter((item.kind, item.urgent) for item in self.held.values())
        taken: list[Job] = []
        for job_id, item in sorted(self.waiting.items(), key=lambda one: (-one[1].rank, one[0])):
            lane = (item.kind, item.urgent)
            limit = limits[item.kind]
            if len(taken) == count or (urgent_only and not item.urgent):
                continue
            if limit and busy[lane] >= limit:
                continue
            busy[lane] += 1
            self.held[job_id] = self.waiting.pop(job_id)
            taken.append(Job(job_id, item.stage_id, item.turn, item.urgent))
        return taken

    async def keep(self, jobs: Sequence[Job]) -> None:
        self.kept.update(job.job_id for job in jobs)

    async def tidy(self) -> None:
        pass

    def expire(self) -> None:
        """Let every lease end."""
        self.waiting |= self.held
        self.held.clear()

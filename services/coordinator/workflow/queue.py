"""The port to the queue of jobs. At-least-once: a job may be given out again after its lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from services.coordinator.workflow.stages import StageKind
from services.runtime.postgres import Connection


@dataclass(frozen=True, slots=True)
class QueueItem:
    """Work to put into the queue.

    Attributes:
        turn: Turn of the stage this work is valid for.
        rank: Place in the queue; higher is taken first.
        urgent: Whether it may use the reserved slots.
        delay: How long it is not given out.
    """

    stage_id: str
    turn: int
    kind: StageKind
    rank: int
    urgent: bool
    delay: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Job:
    """Work that was given out.

    Attributes:
        job_id: The queue's own number of it.
    """

    job_id: int
    stage_id: str
    turn: int
    urgent: bool


class JobQueue(Protocol):
    """A queue whose changes take part in the caller's transaction."""

    async def enqueue(self, connection: Connection, items: Sequence[QueueItem]) -> None:
        """Put work in; what is in it already under the same stage and turn stays as it is."""
        ...

    async def finish(self, connection: Connection, job: Job) -> None:
        """Remove a job."""
        ...

    async def take(
        self, count: int, limits: Mapping[StageKind, int], *, urgent_only: bool
    ) -> list[Job]:
        """Take up to `count` jobs, the highest rank first, and hold them for the lease.

        Args:
            count: At most this many.
            limits: Most jobs of each kind that are held at once over all takers, counted apart
                for urgent work; 0 means no limit.
            urgent_only: Whether other work is left where it is.
        """
        ...

    async def keep(self, jobs: Sequence[Job]) -> None:
        """Renew the lease of jobs."""
        ...

    async def tidy(self) -> None:
        """Remove what the queue no longer needs of its past."""
        ...

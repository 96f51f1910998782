"""The port to where attempts are begun and their outcomes kept."""

from __future__ import annotations

from typing import Protocol

from services.coordinator.workflow.queue import Job
from services.coordinator.workflow.retry import Failure, Hold, RetryLater
from services.coordinator.workflow.runner import Attempt, StageResult


class AttemptBook(Protocol):
    """Keeps attempts; only the current one of a stage may write.

    All but `take` and `release` raise `AttemptFencedError` when another attempt has taken over.
    """

    async def take(self, job: Job) -> Attempt | None:
        """Begin an attempt; None when there is nothing to do for the job."""
        ...

    async def finish(self, job: Job, attempt: Attempt, result: StageResult) -> None:
        """Keep the outcome of an attempt."""
        ...

    async def fail(self, job: Job, attempt: Attempt, failure: Failure) -> RetryLater | Hold:
        """Keep that an attempt failed and tell what happens next."""
        ...

    async def release(self, job: Job, attempt: Attempt) -> None:
        """Give a stage back without a failure."""
        ...

    async def record_progress(self, attempt: Attempt, fraction: float, activity: str) -> None:
        """Keep how far an attempt has come."""
        ...

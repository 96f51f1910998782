"""The port to whoever does the work of a stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from services.coordinator.workflow.plan import StageSpec
from services.coordinator.workflow.retry import Failure
from services.coordinator.workflow.stages import Stage
from services.runtime.blob_ref import BlobRef
from services.runtime.postgres import Connection

ProgressSink = Callable[[float, str], None]
"""Takes the share done, 0 to 1, and what is being done."""

Keep = Callable[[Connection], Awaitable[None]]
"""Writes rows in the transaction that ends a stage; the study is locked."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a stage.

    Attributes:
        attempt_id: Fences late results.
        number: From 1.
    """

    attempt_id: str
    number: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class StageResult:
    """What became of a stage.

    Attributes:
        result: A serialized message, and `result_type`, its full name; empty when refused.
        output_key: Hash of what later stages take from it.
        blobs: Blobs that belong to the result.
        service_version: Version of the service that did the work.
        plan: `Plan` message and the stages to make of it, for the plan alone.
        refusal: Code and sentence when the work was refused for a reason in the images.
        keep: Keeps what has rows of its own, once the outcome is accepted.
    """

    result: bytes = b""
    result_type: str = ""
    output_key: str = ""
    blobs: tuple[BlobRef, ...] = ()
    service_version: str = ""
    plan: tuple[bytes, tuple[StageSpec, ...]] | None = None
    refusal: tuple[str, str] | None = None
    keep: Keep | None = None


class StageFailedError(Exception):
    """The work failed for a reason that does not lie in the images."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.short_code)
        self.failure = failure


class StageRunner(Protocol):
    """Does the work of stages. Running one again with the same inputs does no harm."""

    async def run(self, attempt: Attempt, progress: ProgressSink) -> StageResult:
        """Do the work of one stage.

        Raises:
            StageFailedError: It failed, and may be tried again.
        """
        ...

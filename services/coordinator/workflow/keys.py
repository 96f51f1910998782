"""Keys that tell whether work was done before, without transport or database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from services.coordinator.workflow.stages import Stage, StageKind

STAGE_VERSIONS: Final[Mapping[StageKind, str]] = dict.fromkeys(StageKind, "1")
"""Raised when what a stage asks of its service changes, so that old results are not copied."""


def series_digest(instance_sha256s: Iterable[str]) -> str:
    """Return the hash of a set of instances, whatever their order."""
    return hashlib.sha256(",".join(sorted(instance_sha256s)).encode("ascii")).hexdigest()


def input_key(stage: Stage, inputs: Iterable[str]) -> str:
    """Return the key of a stage: SHA-256 over name, versions and what goes in.

    Args:
        stage: The stage. A report's key holds its generation as well, which stands in it.
        inputs: Digest of the series, or the output keys of the stages it depends on; any order.
    """
    parts = [stage.name, STAGE_VERSIONS[stage.kind], stage.version, *sorted(inputs)]
    if stage.kind in (StageKind.PLAN, StageKind.REPORT):
        parts.append(str(stage.generation))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def output_key(result: bytes) -> str:
    """Return the hash of a result, for stages whose result has no better one."""
    return hashlib.sha256(result).hexdigest()

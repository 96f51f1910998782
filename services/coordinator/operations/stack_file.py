"""What a supervisor on this machine tells about its processes, in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from heimdallr.operations.v1 import operations_service_pb2 as pb

_LARGEST_BYTES: Final = 1 << 20
_STATES: Final[Mapping[str, pb.ProcessState.ValueType]] = {
    "ready": pb.PROCESS_STATE_READY,
    "waiting": pb.PROCESS_STATE_STARTING,
    "starting": pb.PROCESS_STATE_STARTING,
    "unready": pb.PROCESS_STATE_UNREADY,
    "backoff": pb.PROCESS_STATE_STOPPED,
    "stopped": pb.PROCESS_STATE_STOPPED,
}


class StackFileError(Exception):
    """The file is absent or says something else than it should."""


@dataclass(frozen=True, slots=True)
class StackReport:
    """What the file says.

    Attributes:
        processes: In the order in which they start.
        versions: Version of each part that has one.
    """

    processes: Sequence[pb.Process]
    versions: Mapping[str, str]


def read_stack_file(path: Path) -> StackReport:
    """Return what a supervisor wrote last.

    Raises:
        StackFileError: Absent, too large, or not as expected.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST_BYTES))
        processes = [_process(one) for one in content["processes"]]
        versions = {str(part): str(one) for part, one in content["versions"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise StackFileError from None
    return StackReport(processes, versions)


def _process(one: Mapping[str, Any]) -> pb.Process:
    message = pb.Process(
        name=one["name"],
        state=_STATES.get(one["state"], pb.PROCESS_STATE_UNSPECIFIED),
        restart_count=one["restarts"],
    )
    if one.get("started_at") is not None:
        message.start_time.FromMilliseconds(int(one["started_at"] * 1000))
    return message

"""What a running stack tells other programs about itself, as a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from services.cli.stack.layout import Layout
from services.cli.stack.private_file import write_private
from services.cli.stack.process import ProcessStatus, State


@dataclass(frozen=True)
class Addresses:
    """Where a running stack can be reached.

    Attributes:
        http: Base URL of the web page, gRPC and gRPC-Web.
        mesh: gRPC target of the mesh listener.
        dicom_host: Host of the DICOM port.
        dicom_port: The DICOM port.
        ae_title: AE title of the gateway.
        database: DSN without a password, or an empty string when a DSN was given.
        triton: gRPC address of Triton, or an empty string when it does not run.
        blobs: URL of the blob store.
    """

    http: str
    mesh: str
    dicom_host: str
    dicom_port: int
    ae_title: str
    database: str
    triton: str
    blobs: str = ""


@dataclass(frozen=True)
class StackState:
    """A snapshot of a stack.

    Attributes:
        supervisor: Process id of the supervisor.
        data: The data folder.
        run: The runtime folder.
        started_at: Unix time of the start, seconds.
        versions: Version of each part.
        missing: What could not be started, each with its reason.
        processes: State of each process.
        left_out: Names of processes that the person who started it left out.
    """

    supervisor: int
    data: str
    run: str
    started_at: float
    addresses: Addresses
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    processes: list[ProcessStatus] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether every process that was started is ready."""
        return all(process.state is State.READY for process in self.processes)


def write_state(layout: Layout, state: StackState) -> None:
    """Write the state beside the sockets, and the pointer to it into the data folder."""
    write_private(layout.state, json.dumps(asdict(state), indent=2))
    if not layout.pointer.exists():
        write_private(layout.pointer, json.dumps({"run": str(layout.run)}))


def read_state(data: Path) -> StackState | None:
    """Return the last state a stack on ``data`` wrote; ``None`` if none is there.

    The supervisor may have died since: ask ``is_running``.
    """
    try:
        run = Path(json.loads((data / "run.json").read_text())["run"])
        raw: dict[str, Any] = json.loads((run / "stack.json").read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return None
    raw["addresses"] = Addresses(**raw["addresses"])
    raw["processes"] = [
        ProcessStatus(**{**process, "state": State(process["state"])})
        for process in raw["processes"]
    ]
    return StackState(**raw)


def is_running(state: StackState) -> bool:
    """Say whether the supervisor that wrote a state is still alive."""
    # A process id is used again: the supervisor is older than the state it wrote.
    try:
        return psutil.Process(state.supervisor).create_time() <= state.started_at + 1
    except psutil.NoSuchProcess:
        return False


def remove_state(layout: Layout) -> None:
    """Remove state and pointer after an orderly stop."""
    layout.pointer.unlink(missing_ok=True)
    layout.state.unlink(missing_ok=True)

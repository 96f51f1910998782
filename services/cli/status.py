"""``heimdallr status``: what the running stack's processes are doing."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
import typer
from rich.console import Console
from rich.table import Table

from services.cli.connection import DataOption, find_running
from services.cli.stack import StackState, default_data_folder
from services.cli.stack.process import ProcessStatus, State
from services.runtime.settings import RuntimeSettings

EXIT_READY: Final = 0
EXIT_DEGRADED: Final = 1
EXIT_NOT_RUNNING: Final = 3

_COLOURS: Final = {State.READY: "green", State.BACKOFF: "red", State.UNREADY: "red"}
_MEBIBYTE: Final = 1024 * 1024
_WATERMARK_VARIABLE: Final = "HEIMDALLR_BLOBS_FREE_BYTES"
_LOW_VARIABLE: Final = "HEIMDALLR_BLOBS_LOW_BYTES"
_LOW_BYTES: Final[int] = RuntimeSettings.model_fields["blobs_low_bytes"].default
_WATERMARK_BYTES: Final[int] = RuntimeSettings.model_fields["blobs_free_bytes"].default


@dataclass(frozen=True)
class Row:
    """One process as status shows it.

    Attributes:
        uptime_s: Seconds since its last start; ``None`` while it does not run.
        memory_bytes: Resident memory of it and of what it started.
    """

    name: str
    state: str
    pid: int | None
    uptime_s: float | None
    restarts: int
    last_exit: int | None
    memory_bytes: int
    log: str


def status(
    data: DataOption,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show the processes of the running stack.

    Exit status: 0 when everything is ready, 1 when something is missing or not ready or the disk
    is full, 3 when no stack runs.
    """
    state = running_state(data)
    if state is None:
        folder = (data or default_data_folder()).expanduser().absolute()
        _print_absent(folder, as_json)
        raise typer.Exit(EXIT_NOT_RUNNING)
    rows = [_row(process, state) for process in state.processes]
    warning, notice = _disk_words(Path(state.data))
    if as_json:
        typer.echo(json.dumps({**_document(state, rows, warning), "disk_notice": notice}))
    else:
        _print_table(state, rows, warning)
        if notice:
            typer.secho(notice, fg="yellow")
    raise typer.Exit(EXIT_READY if _is_well(state, warning) else EXIT_DEGRADED)


def running_state(data: Path | None) -> StackState | None:
    """Return the state of the stack that runs on ``data``; ``None`` if none does."""
    try:
        return find_running(data)
    except PermissionError:
        folder = data or default_data_folder()
        raise typer.BadParameter(f"{folder} belongs to another user", param_hint="--data") from None


def _is_well(state: StackState, warning: str) -> bool:
    return state.ready and not state.missing and not warning


def _disk_words(data: Path) -> tuple[str, str]:
    """Return a sentence when the blob store takes no more, and one when room is low."""
    try:
        free = shutil.disk_usage(data).free
        needed = int(os.environ.get(_WATERMARK_VARIABLE) or _WATERMARK_BYTES)
        low = int(os.environ.get(_LOW_VARIABLE) or _LOW_BYTES)
    except (OSError, ValueError):
        return "", ""
    sizes = f"{free // _MEBIBYTE} MiB free and {needed // _MEBIBYTE} MiB must stay free"
    if free < needed:
        return (
            f"The disk of {data} has {sizes}: the gateway refuses images (A700, out of resources)."
            " Free some space.",
            "",
        )
    if free < low:
        return "", f"The disk of {data} has {sizes}: make room before images are refused."
    return "", ""


def _row(process: ProcessStatus, state: StackState) -> Row:
    running = process.pid is not None and process.started_at is not None
    return Row(
        name=process.name,
        state=process.state.value,
        pid=process.pid,
        uptime_s=round(time.time() - (process.started_at or 0), 1) if running else None,
        restarts=process.restarts,
        last_exit=process.last_exit,
        memory_bytes=_memory(process.pid) if process.pid else 0,
        log=str(Path(state.data) / "logs" / f"{process.name}.log"),
    )


def _memory(pid: int) -> int:
    """Return the resident bytes of a process and its descendants, shared pages counted once."""
    try:
        process = psutil.Process(pid)
        members = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for number, member in enumerate(members):
        try:
            memory = member.memory_info()
        except psutil.Error:
            continue
        total += memory.rss if number == 0 else memory.rss - memory.shared
    return int(total)


def _document(state: StackState, rows: list[Row], warning: str) -> dict[str, Any]:
    return {
        "running": True,
        "ready": _is_well(state, warning),
        "supervisor": state.supervisor,
        "uptime_s": round(time.time() - state.started_at, 1),
        "data": state.data,
        "run": state.run,
        "addresses": vars(state.addresses),
        "versions": state.versions,
        "missing": state.missing,
        "left_out": state.left_out,
        "disk_warning": warning,
        "processes": [vars(row) for row in rows],
    }


def _print_absent(folder: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"running": False, "ready": False, "data": str(folder)}))
    else:
        typer.echo(f"No stack runs on {folder}: start one with `heimdallr up`.")


def _print_table(state: StackState, rows: list[Row], warning: str) -> None:
    table = Table("process", "state", "pid", "up", "restarts", "memory", "log", box=None)
    for row in rows:
        colour = _COLOURS.get(State(row.state), "yellow")
        table.add_row(
            row.name,
            f"[{colour}]{row.state}[/]",
            str(row.pid or ""),
            _duration(row.uptime_s),
            str(row.restarts),
            f"{row.memory_bytes // _MEBIBYTE} MiB" if row.pid else "",
            f"logs/{Path(row.log).name}",
        )
    for name in sorted(state.missing):
        table.add_row(name, "[red]missing[/]")
    for name in state.left_out:
        table.add_row(name, "[dim]left out[/]")
    console = Console(highlight=False)
    addresses = state.addresses
    console.print(f"{addresses.http}   DICOM {addresses.ae_title}", end="")
    console.print(f"@{addresses.dicom_host}:{addresses.dicom_port}   data {state.data}")
    console.print(table)
    for name, reason in state.missing.items():
        console.print(f"[yellow]{name} is missing[/]: {reason}", soft_wrap=True)
    if warning:
        console.print(warning, style="red", markup=False, soft_wrap=True)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"

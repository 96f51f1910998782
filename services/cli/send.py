"""``heimdallr send``: send DICOM files over C-STORE, to our gateway or any other provider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.cli.connection import EXIT_FAILED, JsonOption, print_json
from services.cli.scu import Destination, Outcome, dicom_files, send_files

_SHOWN_FAILURES: Final = 20

_console = Console(stderr=True, highlight=False)


def send(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, readable=True, help="Files and folders.")
    ],
    host: Annotated[str, typer.Option(help="Where to send.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="DICOM port.")] = 11112,
    called: Annotated[str, typer.Option(help="AE title of the receiver.")] = "HEIMDALLR",
    calling: Annotated[str, typer.Option(help="AE title of ours.")] = "HEIMDALLR_SCU",
    associations: Annotated[int, typer.Option(min=1, max=32, help="At the same time.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Send DICOM files and folders of them by C-STORE.

    Files in folders that are not DICOM are passed over. Exit codes: 0 all are stored, 1 some are
    not, 2 wrong usage.
    """
    destination = Destination(host, port, called, calling)
    with _console.status("Looking for DICOM files"):
        files = list(dicom_files(paths))
    if not files:
        _console.print("No DICOM files there.", style="red")
        raise typer.Exit(EXIT_FAILED)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=_console,
    ) as progress:
        task = progress.add_task(f"Sending to {called}", total=len(files))
        outcomes = send_files(
            files,
            destination,
            associations=associations,
            on_outcome=lambda _: progress.advance(task),
        )
    _print(outcomes, as_json=as_json)
    if not all(outcome.stored for outcome in outcomes):
        raise typer.Exit(EXIT_FAILED)


def _print(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    stored = sum(outcome.stored for outcome in outcomes)
    if as_json:
        print_json(
            {
                "files": len(outcomes),
                "stored": stored,
                "outcomes": [
                    {
                        "path": str(outcome.path),
                        "stored": outcome.stored,
                        "status": _hex(outcome.status),
                        "reason": outcome.reason,
                    }
                    for outcome in outcomes
                ],
            }
        )
        return
    failed = [outcome for outcome in outcomes if not outcome.stored]
    if failed:
        table = Table("file", "status", "reason", title="Not stored")
        for outcome in failed[:_SHOWN_FAILURES]:
            table.add_row(escape(str(outcome.path)), _hex(outcome.status), escape(outcome.reason))
        _console.print(table)
        for reason, count in Counter(outcome.reason for outcome in failed).most_common():
            _console.print(f"{count} x {reason}", markup=False)
    _console.print(f"{stored} of {len(outcomes)} stored.", style="green" if not failed else "red")


def _hex(status: int | None) -> str:
    return "" if status is None else f"{status:04X}"

"""``heimdallr doctor``: what this machine lacks, and how to get it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.stack import StackSettings, default_data_folder
from services.cli.stack.checks import Check, run_checks
from services.cli.status import running_state


def doctor(
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder of the stack.", show_default=str(default_data_folder())),
    ] = None,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of web and gRPC.")] = 8080,
    dicom_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of DICOM.")] = 11112,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Look for everything the stack needs on this machine.

    Exit status: 0 when everything needed is there, 1 when something is missing.
    """
    folder = (data or default_data_folder()).expanduser().absolute()
    settings = StackSettings(data=folder, http_port=http_port, dicom_port=dicom_port)
    checks = list(run_checks(settings, stack_runs=running_state(folder) is not None))
    fit = all(check.present for check in checks if check.required)
    if as_json:
        typer.echo(json.dumps({"ready": fit, "checks": [vars(check) for check in checks]}))
    else:
        _print(checks)
    raise typer.Exit(0 if fit else 1)


def _print(checks: list[Check]) -> None:
    console = Console(highlight=False)
    for check in checks:
        mark = "[green]✓[/]" if check.present else "[red]✗[/]" if check.required else "[dim]-[/]"
        console.print(f" {mark} {check.name}: {check.detail}", soft_wrap=True)
        if check.howto:
            console.print(f"     {check.howto}", soft_wrap=True, markup=False)

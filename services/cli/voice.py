"""What `up` tells the person or program that started the stack."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from services.cli.stack import Stack
from services.cli.stack.process import ProcessStatus, State

_GLYPHS: Final = {
    State.WAITING: "[dim]·[/]",
    State.STARTING: "[cyan]…[/]",
    State.READY: "[green]✓[/]",
    State.UNREADY: "[yellow]![/]",
    State.BACKOFF: "[red]✗[/]",
    State.STOPPED: "[dim]■[/]",
}


class Voice:
    """Tells the person or program that started the stack what happens."""

    def changed(self, status: ProcessStatus) -> None:
        """A process changed its state."""

    def ready(self, stack: Stack, seconds: float) -> None:
        """Everything that can run is ready."""

    def signed_in(self, link: str, *, first_start: bool) -> None:
        """The first administrator's one-time link, and whether the stack never ran before."""

    def refused(self, reason: str) -> None:
        """The stack does not start."""

    def stopping(self) -> None:
        """An orderly stop begins."""


class JsonVoice(Voice):
    """One JSON object a line on standard output."""

    def changed(self, status: ProcessStatus) -> None:
        """Say the new state."""
        self._say(
            "process",
            name=status.name,
            state=status.state.value,
            pid=status.pid,
            restarts=status.restarts,
            last_exit=status.last_exit,
        )

    def ready(self, stack: Stack, seconds: float) -> None:
        """Say where the stack is."""
        addresses = stack.addresses
        self._say(
            "ready",
            seconds=round(seconds, 2),
            http=addresses.http,
            viewer=viewer_url(stack),
            dicom=f"{addresses.ae_title}@{addresses.dicom_host}:{addresses.dicom_port}",
            tls_fingerprint=stack.tls_fingerprint,
            data=str(stack.layout.data),
            run=str(stack.layout.run),
            missing=stack.missing,
        )

    def signed_in(self, link: str, *, first_start: bool) -> None:
        """Say the link, once."""
        self._say("sign_in", link=link, first_start=first_start)

    def refused(self, reason: str) -> None:
        """Say why."""
        self._say("refused", reason=reason)

    def stopping(self) -> None:
        """Say so."""
        self._say("stopping")

    def _say(self, event: str, **values: Any) -> None:
        line = {"time": time.time(), "event": event, **values}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class ScreenVoice(Voice):
    """Lines and one table for a person."""

    def __init__(self) -> None:
        # A fingerprint may hold ":AB:", which is also the name of a picture.
        self._console = Console(highlight=False, emoji=False)
        self._told: dict[str, set[State]] = {}

    def changed(self, status: ProcessStatus) -> None:
        """Say starts, failures and returns; a process that fails and fails says it once."""
        told = self._told.setdefault(status.name, set())
        if status.state in told:
            return
        told.add(status.state)
        if status.state is State.READY:
            told -= {State.BACKOFF, State.UNREADY}
        elif status.state in {State.BACKOFF, State.UNREADY}:
            told -= {State.READY}
        detail = f" ({_end(status)}, see its log)" if status.state is State.BACKOFF else ""
        self._console.print(f" {_GLYPHS[status.state]} {status.name} {status.state}{detail}")

    def ready(self, stack: Stack, seconds: float) -> None:
        """Show where everything is."""
        addresses = stack.addresses
        table = Table(title=f"Heimdallr is ready ({seconds:.1f} s)", show_header=False)
        table.add_row("web, gRPC", addresses.http)
        if (viewer := viewer_url(stack)) is not None:
            table.add_row("viewer (OHIF)", viewer)
        if stack.tls_fingerprint is not None:
            # In two lines of 16 bytes: a person compares it with what the browser shows.
            digits = stack.tls_fingerprint
            table.add_row("certificate SHA-256", f"{digits[:47]}\n{digits[48:]}")
        dicom = f"{addresses.ae_title} at {addresses.dicom_host} port {addresses.dicom_port}"
        table.add_row("DICOM", dicom)
        table.add_row("data", str(stack.layout.data))
        table.add_row("logs", str(stack.layout.data / "logs"))
        for name, reason in stack.missing.items():
            table.add_row(f"[yellow]without {name}[/]", reason)
        table.add_row("stop", "Ctrl-C")
        self._console.print(table)

    def signed_in(self, link: str, *, first_start: bool) -> None:
        """Show the link on a line of its own, so that it can be copied."""
        why = "First start" if first_start else "Nobody has signed in yet"
        self._console.print(f"{why}: sign in once as administrator with this link")
        self._console.print(link, style="bold", soft_wrap=True)

    def refused(self, reason: str) -> None:
        """Say why on standard error."""
        Console(stderr=True, highlight=False).print(f"heimdallr up: {reason}", soft_wrap=True)

    def stopping(self) -> None:
        """Say so."""
        self._console.print("Stopping (Ctrl-C again: at once)")


def viewer_url(stack: Stack) -> str | None:
    """Return where the viewer is; None where it is not served."""
    port = stack.settings.ohif_port
    return None if port is None else f"{stack.addresses.http.rpartition(':')[0]}:{port}"


def _end(status: ProcessStatus) -> str:
    if status.last_exit is None:
        return "cannot start"
    if status.last_exit < 0:
        return f"killed (signal {-status.last_exit})"
    return f"exit {status.last_exit}"

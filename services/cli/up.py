"""``heimdallr up``: run the whole stack of one machine in the foreground."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from services.cli.stack import (
    Stack,
    StackError,
    StackSettings,
    TlsSettings,
    default_data_folder,
)
from services.cli.stack.errors import AlreadyRunningError
from services.cli.stack.plan import NAMES
from services.cli.stack.process import ProcessStatus, State

EXIT_REFUSED: Final = 1
EXIT_ALREADY_RUNNING: Final = 4

_SIGN_IN_POLL_S: Final = 0.5

_GLYPHS: Final = {
    State.WAITING: "[dim]·[/]",
    State.STARTING: "[cyan]…[/]",
    State.READY: "[green]✓[/]",
    State.UNREADY: "[yellow]![/]",
    State.BACKOFF: "[red]✗[/]",
    State.STOPPED: "[dim]■[/]",
}


def up(
    data: Annotated[
        Path | None, typer.Option(help="Folder of everything that must survive.")
    ] = None,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of web and gRPC.")] = 8080,
    dicom_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of DICOM.")] = 11112,
    http_address: Annotated[str, typer.Option(help="Address of web and gRPC.")] = "127.0.0.1",
    dicom_address: Annotated[str, typer.Option(help="Address of DICOM.")] = "127.0.0.1",
    database: Annotated[
        str | None,
        typer.Option(
            envvar="HEIMDALLR_DATABASE_DSN",
            help="DSN of a PostgreSQL server, instead of the embedded one.",
            show_envvar=True,
        ),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="TLS for web and gRPC, by a certificate made here.")
    ] = False,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="TLS by this certificate (PEM, with its chain).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port on 127.0.0.1 for Prometheus; none if absent."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON per event.")] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out a process; may be repeated.")
    ] = None,
) -> None:
    """Run the stack of this machine until Ctrl-C.

    Exit status: 0 after an orderly stop; 1 when it refuses to start; 2 when an option is wrong;
    4 when a stack already runs on the data folder.
    """
    if log_level not in {"debug", "info", "warning", "error"}:
        raise typer.BadParameter("debug, info, warning or error", param_hint="--log-level")
    if not NAMES.issuperset(without or ()):
        raise typer.BadParameter(f"one of {', '.join(sorted(NAMES))}", param_hint="--without")
    settings = StackSettings(
        data=data or default_data_folder(),
        http_address=http_address,
        http_port=http_port,
        dicom_address=dicom_address,
        dicom_port=dicom_port,
        database=database,
        log_level=log_level,
        without=frozenset(without or ()),
        metrics_port=metrics_port,
        tls=_tls(tls, tls_certificate, tls_key),
    )
    voice = JsonVoice() if as_json else ScreenVoice()
    raise typer.Exit(asyncio.run(run(settings, voice)))


def _tls(own: bool, certificate: Path | None, key: Path | None) -> TlsSettings | None:
    if (certificate is None) != (key is None):
        raise typer.BadParameter("give both or none", param_hint="--tls-certificate, --tls-key")
    if certificate is None and not own:
        return None
    return TlsSettings(certificate, key)


class Voice:
    """Tells the person or program that started the stack what happens."""

    def changed(self, status: ProcessStatus) -> None:
        """A process changed its state."""

    def ready(self, stack: Stack, seconds: float) -> None:
        """Everything that can run is ready."""

    def signed_in(self, link: str) -> None:
        """The first administrator's one-time link."""

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
            dicom=f"{addresses.ae_title}@{addresses.dicom_host}:{addresses.dicom_port}",
            tls_fingerprint=stack.tls_fingerprint,
            data=str(stack.layout.data),
            run=str(stack.layout.run),
            missing=stack.missing,
        )

    def signed_in(self, link: str) -> None:
        """Say the link, once."""
        self._say("sign_in", link=link)

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
        self._seen: set[tuple[str, State, int]] = set()

    def changed(self, status: ProcessStatus) -> None:
        """Say starts, failures and returns, without repeating those of a failing process."""
        key = (status.name, status.state, min(status.restarts, 3))
        if key in self._seen:
            return
        self._seen.add(key)
        detail = f" (exit {status.last_exit}, see its log)" if status.state is State.BACKOFF else ""
        self._console.print(f" {_GLYPHS[status.state]} {status.name} {status.state}{detail}")

    def ready(self, stack: Stack, seconds: float) -> None:
        """Show where everything is."""
        addresses = stack.addresses
        table = Table(title=f"Heimdallr is ready ({seconds:.1f} s)", show_header=False)
        table.add_row("web, gRPC", addresses.http)
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

    def signed_in(self, link: str) -> None:
        """Show the link on a line of its own, so that it can be copied."""
        self._console.print("First start: sign in once as administrator with this link")
        self._console.print(link, style="bold", soft_wrap=True)

    def refused(self, reason: str) -> None:
        """Say why on standard error."""
        Console(stderr=True, highlight=False).print(f"heimdallr up: {reason}", soft_wrap=True)

    def stopping(self) -> None:
        """Say so."""
        self._console.print("Stopping (Ctrl-C again: at once)")


async def run(settings: StackSettings, voice: Voice) -> int:
    """Run a stack until a signal comes; return the exit status of the command."""
    began = time.monotonic()
    asked = _StopSignals()
    try:
        stack = Stack(settings, voice.changed)
        await stack.start()
    except AlreadyRunningError as error:
        voice.refused(str(error))
        return EXIT_ALREADY_RUNNING
    except (StackError, OSError) as error:
        voice.refused(str(error))
        return EXIT_REFUSED
    asked.at_once = stack.kill
    news = [
        asyncio.create_task(_tell_when_ready(stack, voice, began)),
        asyncio.create_task(_tell_sign_in(stack, voice)),
    ]
    try:
        await asked.once.wait()
        voice.stopping()
    finally:
        for task in news:
            task.cancel()
        await asyncio.gather(*news, return_exceptions=True)
        await stack.stop()
    return 0


async def _tell_when_ready(stack: Stack, voice: Voice, began: float) -> None:
    await stack.ready(timeout_s=None)
    # Before the last word, so that nobody who waits for that misses it.
    link = stack.take_sign_in_link()
    if link is not None:
        voice.signed_in(link)
    voice.ready(stack, time.monotonic() - began)


async def _tell_sign_in(stack: Stack, voice: Voice) -> None:
    # The link is of use as soon as the coordinator answers, whatever else is still missing.
    while True:
        link = stack.take_sign_in_link()
        if link is not None:
            voice.signed_in(link)
            return
        await asyncio.sleep(_SIGN_IN_POLL_S)


class _StopSignals:
    """The first SIGINT or SIGTERM asks for an orderly stop, the next one for an end at once."""

    def __init__(self) -> None:
        self.once = asyncio.Event()
        self.at_once: Callable[[], None] = sys.exit
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked)

    def _asked(self) -> None:
        if self.once.is_set():
            self.at_once()
        self.once.set()

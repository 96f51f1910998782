"""How far an exchange with a peer is, shown while it runs; and which protocol is spoken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from heimdallr.peers.v1 import peers_service_pb2 as pb
from services.cli.tables import literal

console = Console(stderr=True, highlight=False)

WebOnlyOption = Annotated[
    bool | None,
    typer.Option(
        "--web/--dimse",
        help="Speak DICOMweb or DIMSE; DIMSE where the peer speaks both and nothing is said.",
    ),
]


def speaks_web(peer: pb.Peer, wanted: bool | None) -> bool:
    """Return whether DICOMweb is to be spoken.

    Raises:
        typer.BadParameter: The peer does not speak what is wanted.
    """
    web, dimse = peer.spec.HasField("dicomweb"), peer.spec.HasField("dimse")
    if wanted is None:
        return not dimse
    if not (web if wanted else dimse):
        raise typer.BadParameter(f"{peer.spec.name} does not speak it", param_hint="--web/--dimse")
    return wanted


class Bar:
    """A bar on the terminal."""

    def __init__(self, progress: Progress, text: str) -> None:
        self._progress = progress
        self._task = progress.add_task(text, total=None)

    def show(self, done: int, total: int | None) -> None:
        """Show that so many of so many are done; None for an unknown number."""
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def bar(text: str) -> Iterator[Bar]:
    """Show a bar while the block runs, on standard error."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        yield Bar(progress, literal(text))
